"""Small models in the format of LTP's neural releases, and the released class around the same weights."""

import json

import torch
from transformers import AutoTokenizer


def ltp_config(vocab_size, tags, use_crf=False, **backbone):
    """The config.json of a model with two small layers, in the shape of LTP's releases."""
    sizes = {"embedding_size": 16, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    electra = {"model_type": "electra", "vocab_size": vocab_size, "intermediate_size": 64, **sizes, **backbone}
    head = {"input_size": 32, "num_labels": len(tags), "use_crf": use_crf, "dropout": 0.1}
    return {
        "nerual": True,
        "vocabs": {"cws": tags},
        "model": {
            "_ltp_target_": "ltp_core.models.ltp_model.LTPModule",
            "backbone": {"_ltp_target_": "ltp_core.models.utils.load_transformers", "config": electra},
            "processor": {"cws": {"_ltp_target_": "ltp_core.models.processor.TokenOnly"}},
            "heads": {"cws": {"_ltp_target_": "ltp_core.models.components.token.MLPTokenClassifier", **head}},
        },
    }


@torch.inference_mode()
def balance_classes(model, config):
    """Shift the head's biases until no class of word position is the rule: random weights may know one alone."""
    ids = torch.randint(5, config["model"]["backbone"]["config"]["vocab_size"], (20, 50))
    hidden = model.backbone(input_ids=ids).last_hidden_state
    classifier = model.task_heads["cws"].classifier[0]
    classifier.bias -= classifier(hidden).mean(dim=(0, 1))


def write_model(folder, vocabulary, config):
    """Write a model with random weights, large enough that its words differ in length."""
    from ltp_core.models.utils import instantiate

    folder.mkdir()
    torch.manual_seed(7)
    model = instantiate(config["model"])
    for name, parameter in model.named_parameters():
        if name.endswith("weight") and "LayerNorm" not in name:
            torch.nn.init.normal_(parameter, std=0.5)
    balance_classes(model.eval(), config)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    (folder / "vocab.txt").write_bytes(vocabulary.read_bytes())
    (folder / "config.json").write_text(json.dumps(config))
    return folder


class _Transformers4Tokenizer:
    """The one method of tokenizers that LTP asks for and that transformers 5 no longer has."""

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def batch_encode_plus(self, inputs, **options):
        return self.tokenizer(inputs, **options)


def published_ltp(folder):
    from ltp.nerual import LTP

    config = json.loads((folder / "config.json").read_text())
    ltp = LTP(config=config)
    ltp.load_state_dict(torch.load(folder / "pytorch_model.bin", weights_only=True))
    ltp.tokenizer = _Transformers4Tokenizer(AutoTokenizer.from_pretrained(folder, config=ltp.model.backbone.config))
    return ltp.eval()


def published_words(ltp, text):
    """What LTP's pipeline gives for a text, split at whitespace."""
    return [part for word in ltp.pipeline([text], tasks=["cws"]).cws[0] for part in word.split()]
