"""Strict configuration: a slip is an error that says what, where, which value, and what to do."""

import pickle

import pytest
from pydantic import Field

from wwmcorpus.config import Config, load_config
from wwmcorpus.corpus import BuildConfig
from wwmcorpus.errors import ConfigError, CorpusError, MissingExtraError, WwmcorpusError, choices, nearest


class Inner(Config):
    rate: float = Field(default=0.5, ge=0, le=1)
    name: str = "a"


class Outer(Config):
    steps: int = Field(ge=1)
    inner: Inner = Inner()
    tags: tuple[str, ...] = Field(default=(), strict=False)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "job.toml"
    path.write_text('steps = 3\ntags = ["x"]\n[inner]\nrate = 0.25\n', "utf-8")
    return path


class TestStrictness:
    @pytest.mark.parametrize(
        ("values", "what", "value", "where", "fix"),
        [
            (
                {"steps": 1, "stpes": 2},
                "unknown key",
                "stpes",
                "Outer",
                "Did you mean 'steps'? Choose one of: inner, steps",
            ),
            ({"steps": 1, "zzz": 2}, "unknown key", "zzz", "Outer", "Choose one of: inner, steps, tags."),
            ({"steps": 1, "inner": {"rat": 1}}, "unknown key", "rat", "inner.Inner", "Did you mean 'rate'?"),
            ({}, "a key is missing", "steps", "Outer", "Give it a value."),
            ({"steps": 0}, "a value is not allowed", 0, "Outer.steps", "greater than or equal to 1"),
            ({"steps": "3"}, "a value is not allowed", "3", "Outer.steps", "valid integer"),
            ({"steps": 3.0}, "a value is not allowed", 3.0, "Outer.steps", "valid integer"),
            ({"steps": True}, "a value is not allowed", True, "Outer.steps", "valid integer"),
            (
                {"steps": 1, "inner": {"rate": 2.0}},
                "a value is not allowed",
                2.0,
                "inner.Inner.rate",
                "less than or equal to 1",
            ),
            ({"steps": 1, "inner": 5}, "a value is not allowed", 5, "Outer.inner", ""),
            ({"steps": 1, "tags": [1]}, "a value is not allowed", 1, "Outer.tags.0", "valid string"),
        ],
    )
    def test_every_slip_is_named(self, values, what, value, where, fix):
        with pytest.raises(ConfigError) as caught:
            Outer(**values)
        error = caught.value
        assert (error.what, error.value, error.where) == (what, value, where)
        assert fix in error.fix

    def test_it_cannot_be_changed(self):
        with pytest.raises(ValueError, match="frozen"):
            Outer(steps=1).steps = 2

    def test_values_go_out_and_come_back(self):
        config = Outer(steps=2, inner={"rate": 0.1}, tags=("a", "b"))
        assert config.values() == {"steps": 2, "inner": {"rate": 0.1, "name": "a"}, "tags": ["a", "b"]}
        assert Outer(**config.values()) == config


class TestLoading:
    def test_flags_stand_over_the_file_and_overrides_over_both(self, file):
        assert load_config(Outer, file) == Outer(steps=3, tags=("x",), inner=Inner(rate=0.25))
        assert load_config(Outer, file, steps=4, tags=None).steps == 4
        config = load_config(Outer, file, ["steps=5", "inner.rate=0.75", "inner.name=plain words"], steps=4)
        assert config == Outer(steps=5, tags=("x",), inner=Inner(rate=0.75, name="plain words"))
        assert load_config(Outer, None, ["steps=1", 'tags=["a", "b"]', "inner.name='3'"]).inner.name == "3"

    @pytest.mark.parametrize(
        ("override", "problem"),
        [
            ("steps", "an override is not key=value"),
            ("=3", "an override is not key=value"),
            ("steps.deep=3", "an override goes below a value"),
            ("stepz=3", "Did you mean 'steps'"),
            ("inner.rat=3", "Did you mean 'rate'"),
            ("steps=many", "a value is not allowed: 'many'"),
        ],
    )
    def test_a_wrong_override_is_an_error(self, file, override, problem):
        with pytest.raises(ConfigError, match=problem):
            load_config(Outer, file, [override])

    @pytest.mark.parametrize(
        ("data", "problem"),
        [
            (b"steps = = 3", "not a TOML file"),
            (b"\xff\xfe", "not a TOML file"),
            (b"steps = 1\nsteps = 2", "not a TOML file"),
        ],
    )
    def test_what_is_no_toml_is_located(self, tmp_path, data, problem):
        path = tmp_path / "bad.toml"
        path.write_bytes(data)
        with pytest.raises(ConfigError, match=problem) as caught:
            load_config(Outer, path)
        assert caught.value.where == str(path)

    def test_an_absent_file_is_an_error(self, tmp_path):
        for path in (tmp_path / "absent.toml", tmp_path):
            with pytest.raises(ConfigError, match="config file"):
                load_config(Outer, path)


class TestErrors:
    def test_the_four_parts(self):
        error = WwmcorpusError("unknown segmenter", value="jeiba", where="--segmenter", fix="Choose another.")
        assert str(error) == "unknown segmenter: 'jeiba' (--segmenter). Choose another."
        assert str(WwmcorpusError("no input", fix="Name a file.")) == "no input. Name a file."

    @pytest.mark.parametrize("kind", [ConfigError, CorpusError, WwmcorpusError])
    def test_errors_travel_between_processes(self, kind):
        error = pickle.loads(pickle.dumps(kind("a", value=[1], where="b", fix="C.")))
        assert type(error) is kind
        assert (error.what, error.value, error.where, error.fix) == ("a", [1], "b", "C.")

    def test_a_missing_extra_says_the_command(self):
        error = MissingExtraError.of("rjieba", "fast", "segmenter 'rjieba'")
        assert isinstance(error, ImportError)
        assert "pip install 'wwmcorpus[fast]'" in str(error)

    def test_exit_statuses(self):
        assert (ConfigError.exit_status, MissingExtraError.exit_status, CorpusError.exit_status) == (2, 2, 1)

    def test_names(self):
        assert nearest("jeiba", ["given", "jieba", "ltp"]) == "jieba"
        assert nearest("xyz", ["given", "jieba"]) is None
        assert choices(["b", "a"]) == "Choose one of: a, b."


def test_what_decides_the_rows_is_kept_apart():
    config = BuildConfig(inputs=("a",), output="b", num_workers=4)
    apart = set(config.values()) - set(config.decisive)
    speed = {"engine", "ray_address", "num_workers", "segmenter_threads", "worker_memory_bytes", "stuck_seconds"}
    handling = {"append", "overwrite", "max_rejects", "output"}
    recorded_by_hash = {"inputs", "segmenter", "segmenter_options", "tokenizer", "dedup"}
    assert apart == speed | handling | recorded_by_hash
