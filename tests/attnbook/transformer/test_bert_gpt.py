"""The encoder-only and the decoder-only model against those of the transformers library, with the same weights."""

import pytest
import torch
import transformers

from attnbook.transformer import Bert, Gpt
from tests.attnbook.transformer.torch_weights import randomize

EXACT = {"rtol": 1e-9, "atol": 1e-11}


@pytest.fixture
def berts():
    """Ours and theirs, with the same random weights."""
    config = transformers.BertConfig(
        vocab_size=20,
        hidden_size=12,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=16,
        max_position_embeddings=9,
        attn_implementation="eager",
    )
    theirs = randomize(transformers.BertForMaskedLM(config)).eval()
    theirs.tie_weights()
    ours = Bert(20, max_length=9, d_model=12, n_heads=3, n_layers=2, d_hidden=16).double().eval()
    embeddings, head = theirs.bert.embeddings, theirs.cls.predictions
    modules = [
        (ours.tokens, embeddings.word_embeddings),
        (ours.positions, embeddings.position_embeddings),
        (ours.segments, embeddings.token_type_embeddings),
        (ours.norm, embeddings.LayerNorm),
        (ours.head, head.transform.dense),
        (ours.head_norm, head.transform.LayerNorm),
    ]
    for own, other in zip(ours.encoder.layers, theirs.bert.encoder.layer, strict=True):
        modules += [
            (own.self_attention.q_proj, other.attention.self.query),
            (own.self_attention.k_proj, other.attention.self.key),
            (own.self_attention.v_proj, other.attention.self.value),
            (own.self_attention.out_proj, other.attention.output.dense),
            (own.after_self_attention.norm, other.attention.output.LayerNorm),
            (own.feed_forward.W_1, other.intermediate.dense),
            (own.feed_forward.W_2, other.output.dense),
            (own.after_feed_forward.norm, other.output.LayerNorm),
        ]
    for own, other in modules:
        own.load_state_dict(other.state_dict())
    ours.output_bias.data.copy_(head.bias)
    return ours, theirs


def test_bert(berts):
    ours, theirs = berts
    tokens = torch.tensor([[5, 6, 7, 8, 9, 10, 3], [4, 19, 3, 11, 0, 0, 0]])
    segments = torch.tensor([[0, 0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 0, 0, 0]])
    expected = theirs(
        tokens,
        attention_mask=(tokens != 0).long(),
        token_type_ids=segments,
        output_attentions=True,
        output_hidden_states=True,
    )
    logits, weights = ours(tokens, segments, need_weights=True)
    torch.testing.assert_close(logits, expected.logits, **EXACT)
    for own, other in zip(weights, expected.attentions, strict=True):
        torch.testing.assert_close(own, other, **EXACT)
    hidden, none = ours.encode(tokens, segments)
    torch.testing.assert_close(hidden, expected.hidden_states[-1], **EXACT)
    assert none is None
    torch.testing.assert_close(ours.encode(tokens)[0], ours.encode(tokens, torch.zeros_like(tokens))[0])


def test_bert_sees_both_sides_and_no_padding(berts):
    ours, _ = berts
    tokens = torch.tensor([[5, 6, 7, 8]])
    before = ours.encode(tokens)[0]
    for place in range(4):
        changed = tokens.clone()
        changed[0, place] = 15
        assert ((ours.encode(changed)[0] - before).abs().amax(-1) > 1e-6).all()
    padded = torch.tensor([[5, 6, 7, 8, 0, 0]])
    torch.testing.assert_close(ours.encode(padded)[0][:, :4], before, **EXACT)


@pytest.fixture(params=["gelu-tanh", "gelu"])
def gpts(request):
    config = transformers.GPT2Config(
        vocab_size=20,
        n_positions=12,
        n_embd=12,
        n_layer=2,
        n_head=3,
        activation_function={"gelu-tanh": "gelu_new", "gelu": "gelu"}[request.param],
        attn_implementation="eager",
    )
    theirs = randomize(transformers.GPT2LMHeadModel(config)).eval()
    theirs.transformer.wpe.weight.data *= 20  # what it writes depends on the place
    theirs.tie_weights()
    ours = Gpt(20, max_length=12, d_model=12, n_heads=3, n_layers=2, activation=request.param).double().eval()
    body = theirs.transformer
    with torch.no_grad():
        ours.tokens.weight.copy_(body.wte.weight)
        ours.positions.weight.copy_(body.wpe.weight)
        ours.layers.norm.load_state_dict(body.ln_f.state_dict())
        for own, other in zip(ours.layers.layers, body.h, strict=True):
            own.after_self_attention.norm.load_state_dict(other.ln_1.state_dict())
            own.after_feed_forward.norm.load_state_dict(other.ln_2.state_dict())
            attention = own.self_attention
            inward = (attention.q_proj, attention.k_proj, attention.v_proj)
            for i, linear in enumerate(inward):  # GPT-2 keeps them in one matrix, transposed
                linear.weight.copy_(other.attn.c_attn.weight.T.chunk(3)[i])
                linear.bias.copy_(other.attn.c_attn.bias.chunk(3)[i])
            for linear, conv in (
                (attention.out_proj, other.attn.c_proj),
                (own.feed_forward.W_1, other.mlp.c_fc),
                (own.feed_forward.W_2, other.mlp.c_proj),
            ):
                linear.weight.copy_(conv.weight.T)
                linear.bias.copy_(conv.bias)
    return ours, theirs


def test_gpt(gpts):
    ours, theirs = gpts
    tokens = torch.tensor([[5, 6, 7, 8, 9, 10, 3], [4, 19, 3, 11, 0, 1, 2]])
    expected = theirs(tokens, output_attentions=True)
    logits, weights = ours(tokens, need_weights=True)
    torch.testing.assert_close(logits, expected.logits, **EXACT)
    for own, other in zip(weights, expected.attentions, strict=True):
        torch.testing.assert_close(own, other, **EXACT)
    fused, none = ours(tokens)
    torch.testing.assert_close(fused, logits, **EXACT)
    assert none is None


def test_gpt_sees_no_later_token(gpts):
    ours, _ = gpts
    tokens = torch.tensor([[5, 6, 7, 8, 9]])
    before = ours(tokens)[0]
    for place in range(5):
        changed = tokens.clone()
        changed[0, place] = 15
        after = ours(changed)[0]
        assert torch.equal(after[:, :place], before[:, :place])
        assert ((after - before)[0, place:].abs().amax(-1) > 1e-6).all()


def test_gpt_generates_with_caches_what_it_would_without(gpts):
    ours, theirs = gpts
    prompt = torch.tensor([[5, 6, 7], [8, 9, 4]])
    longer = ours.generate(prompt, steps=8)
    expected = prompt
    for _ in range(8):
        expected = torch.cat([expected, theirs(expected).logits[:, -1:].argmax(-1)], dim=1)
    assert torch.equal(longer, expected)
    assert len(set(longer[0, 3:].tolist())) > 1

    seen = []

    def second_best(logits):
        seen.append(logits)
        return logits.topk(2).indices[:, 1]

    longer = ours.generate(prompt, steps=3, choose=second_best)
    torch.testing.assert_close(torch.stack(seen, 1), ours(longer)[0][:, 2:5].detach(), **EXACT)
    assert torch.equal(longer[:, 3:], ours(longer)[0][:, 2:5].topk(2).indices[..., 1])


def test_first_weights_are_small():
    """The loss of an untrained model is that of guessing: log of the vocabulary's size."""
    tokens = torch.randint(1, 50, (4, 16))
    for model in (Bert(50, d_model=48, n_heads=4, n_layers=2, d_hidden=96), Gpt(50, d_model=48, n_heads=4, n_layers=2)):
        logits, _ = model.eval()(tokens)
        others = torch.randint(1, 50, (4, 16))  # not the tokens themselves, which the shared matrix favors
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), others.flatten())
        assert abs(loss - torch.log(torch.tensor(50.0))) < 0.3
    ends = [
        model.layers.layers[0].feed_forward.W_2.weight.std(),
        model.layers.layers[1].self_attention.out_proj.weight.std(),
    ]
    assert all(abs(std - 0.01) < 0.001 for std in ends)  # 0.02 / sqrt(2 layers * 2 parts)
    assert abs(model.layers.layers[0].feed_forward.W_1.weight.std() - 0.02) < 0.001


def test_a_bert_without_a_head_only_encodes(own_errors):
    """The same numbers for the same weights; no head to load, and one sentence for whoever asks for it."""
    sizes = {"max_length": 5, "d_model": 8, "n_heads": 2, "n_layers": 1, "d_hidden": 8}
    whole, bare = Bert(9, **sizes).eval(), Bert(9, **sizes, head=False).eval()
    state = {name: value for name, value in whole.state_dict().items() if "head" not in name and "output" not in name}
    bare.load_state_dict(state)
    tokens = torch.tensor([[1, 2, 3]])
    assert torch.equal(bare.encode(tokens)[0], whole.encode(tokens)[0])
    with pytest.raises(ValueError, match=r"^head must be True .* use encode$"):
        bare(tokens)
