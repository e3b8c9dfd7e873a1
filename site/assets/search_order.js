// How results of a search are ordered; Sphinx puts this into its own script. See site/extensions/search_order.py.
var Scorer = {
  // Marks as Sphinx has them, for names in an interface, in titles, in the text.
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,

  // What a page says about the words asked for: more if it has them often, and other pages do not.
  score: ([page, , , , mark]) => {
    const pages = globalThis.bookCounts;
    const stemmer = new Stemmer();
    const asked = new URLSearchParams(location.search).get("q") ?? "";
    const all = Object.keys(pages).length;
    return splitQuery(asked.toLowerCase()).reduce((sum, word) => {
      const stem = stemmer.stemWord(word);
      const often = pages[page]?.[stem] ?? 0;
      const spread = Object.values(pages).filter((counts) => stem in counts).length;
      return sum + 4 * Math.log2(1 + often) * Math.log2(1 + all / (1 + spread));
    }, mark);
  },
};
