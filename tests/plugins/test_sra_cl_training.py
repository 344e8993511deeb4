"""What SRA-CL looks up, what it must never reach, and how SASRec and SRA-CL train."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from crosslens import (
    Catalogue,
    DataError,
    FitContext,
    FitProgress,
    HeldOut,
    ParameterError,
    SequenceDataset,
    SequenceTrainingData,
    Stopped,
    StorageError,
    TextEncoders,
)
from crosslens.data import Float32Array
from crosslens.testing import planted_encoders, planted_sequences, planted_training, sequences, small_catalogue
from crosslens.testing.checkpoints import FolderCheckpoints, StopAfter
from plugins.neural import epoch
from plugins.sra_cl import SasRecParameters, SraClParameters, build, load, losses, memory
from plugins.sra_cl.contrast import Contrast, states_of
from plugins.sra_cl.module import SasRec
from plugins.sra_cl.semantics import look_up, mean_vectors, nearest
from plugins.sra_cl.windows import Windows

_SMALL = {"width": 16, "layers": 1, "dropout": 0.1, "batch_size": 64, "epochs": 3, "learning_rate": 0.01}
SASREC = SasRecParameters(**_SMALL)  # type: ignore[arg-type]
SRA_CL = SraClParameters(**_SMALL)  # type: ignore[arg-type]


def context(**lent: object) -> FitContext:
    return FitContext(**{"seed": 1, "text_encoders": planted_encoders(), **lent})  # type: ignore[arg-type]


def random_vectors(rows: int, width: int = 7, *, seed: int = 0) -> Float32Array:
    vectors = np.random.default_rng(seed).standard_normal((rows, width)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


# -- what is looked up -------------------------------------------------------------------------------------------------


def test_neighbours_are_those_of_a_full_sort() -> None:
    vectors = random_vectors(40)
    asks, answers = np.ones(40, bool), np.arange(40) % 3 > 0
    found, among = nearest(vectors, asks, answers, 5, FitContext())
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    cosines[:, ~answers] = -np.inf
    np.testing.assert_array_equal(found, np.argsort(-cosines, axis=1)[:, :5])
    assert among == answers.sum()


def test_fewer_than_asked_are_filled_with_minus_1() -> None:
    everybody = np.ones(3, bool)
    found, _ = nearest(random_vectors(3), everybody, everybody, 5, FitContext())
    assert (found[:, :2] >= 0).all()
    assert (found[:, 2:] == -1).all()
    alone, among = nearest(random_vectors(1), everybody[:1], everybody[:1], 2, FitContext())
    assert (alone == -1).all()
    assert among == 1
    nobody, among = nearest(random_vectors(3), everybody, ~everybody, 2, FitContext())
    assert (nobody == -1).all()
    assert among == 0


def test_a_search_that_costs_too_much_is_made_among_a_sample() -> None:
    everybody = np.ones(3000, bool)
    found, among = nearest(random_vectors(3000), everybody, everybody, 5, FitContext(seed=2), most_pairs=1)
    assert among == 1024
    assert len(np.unique(found)) <= 1024
    assert (found != np.arange(3000)[:, None]).all()


def test_looking_up_stops_when_told() -> None:
    everybody = np.ones(50, bool)
    with pytest.raises(Stopped):
        nearest(random_vectors(50), everybody, everybody, 5, FitContext(should_stop=lambda: True))


def test_a_user_is_the_mean_of_their_items_the_latest_most() -> None:
    vectors = random_vectors(8)
    train = sequences(small_catalogue(6), [[2, 3, 4], [], [5]])
    found = mean_vectors(vectors, train, half_life=2.0)
    weighted = vectors[2] * 2**-1 + vectors[3] * 2**-0.5 + vectors[4]
    np.testing.assert_allclose(found[0], weighted / np.linalg.norm(weighted), rtol=1e-5)
    np.testing.assert_array_equal(found[1], 0)
    np.testing.assert_allclose(found[2], vectors[5], rtol=1e-5)


def test_nobody_is_their_own_neighbour_and_padding_is_nobodys() -> None:
    train = sequences(small_catalogue(30), [*planted_sequences(80), [], [1]])
    found = look_up(SRA_CL, train, context())
    assert (found.users != np.arange(82)[:, None]).all()
    assert (found.items != np.arange(32)[:, None]).all()
    assert set(np.unique(found.items)) <= {-1, *range(2, 32)}
    assert (found.items[:2] == -1).all()
    assert (found.users[80:] == -1).all()
    assert not np.isin(found.users, [80, 81]).any()


def test_several_windows_of_a_user_never_meet_as_neighbours() -> None:
    parameters = replace(SRA_CL, length=3)
    train = sequences(small_catalogue(30), planted_sequences(40))
    windows = Windows.cut(train, 3)
    found = look_up(parameters, train, context())
    assert len(windows) > len(train)
    assert (found.users[windows.users] != windows.users[:, None]).all()


def test_an_item_that_training_never_saw_is_nobodys_neighbour() -> None:
    histories = [[item for item in history if item != 7] for history in planted_sequences(80)]
    found = look_up(SRA_CL, sequences(small_catalogue(30), histories), context())
    assert not (found.items == 7).any()


def test_nothing_of_the_validation_is_reached_while_training() -> None:
    data = planted_training(80)
    seen: list[int] = []

    class Watched(SequenceDataset):
        def __getattribute__(self, name: str) -> object:
            if name in ("items", "of", "last"):
                seen.append(1)
            return super().__getattribute__(name)

    asked: list[SequenceDataset] = []

    def encode(_: str, __: dict[str, object], train: SequenceDataset) -> Float32Array:
        asked.append(train)
        return planted_encoders().encode("tfidf-svd", {}, train)

    histories = data.validation.histories
    watched = Watched(histories.catalogue, histories.offsets, histories.items)
    one_epoch = replace(SRA_CL, epochs=1)
    before_validation: list[int] = []

    def note(progress: FitProgress) -> None:
        if not progress.metrics:
            before_validation.append(len(seen))

    lent = context(progress=note, text_encoders=TextEncoders(("tfidf-svd",), encode))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(epoch, "REPORT_SECONDS", 0.0)
        model = build(one_epoch).fit(SequenceTrainingData(data.train, HeldOut(watched, data.validation.targets)), lent)
    assert before_validation
    assert before_validation[-1] == before_validation[0]
    np.testing.assert_array_equal(asked[0].items, data.train.items)
    other_targets = np.full_like(data.validation.targets, 9)
    other = build(one_epoch).fit(SequenceTrainingData(data.train, HeldOut(histories, other_targets)), context())
    np.testing.assert_array_equal(model.score(histories), other.score(histories))


def test_the_bank_holds_the_state_after_every_users_last_training_event() -> None:
    network = SasRec(32, SASREC)
    train = sequences(small_catalogue(30), [[2, 3, 4], [], [5], list(range(2, 32))])
    network.train()
    bank = states_of(network, train, torch.device("cpu"))
    assert network.training
    network.eval()
    torch.testing.assert_close(bank[0], network.final(torch.tensor([[2, 3, 4]]), torch.tensor([3]))[0])
    torch.testing.assert_close(bank[3], network.final(torch.arange(12, 32)[None], torch.tensor([20]))[0])
    assert (bank[1] == 0).all()


def test_exact_states_carry_gradients_and_equal_the_banks() -> None:
    train = sequences(small_catalogue(30), planted_sequences(60))
    semantics = look_up(SRA_CL, train, context())
    network = SasRec(32, SASREC).eval()
    found = {}
    for choice in ("bank", "exact"):
        contrast = Contrast.prepare(replace(SRA_CL, neighbour_states=choice), train, semantics, torch.device("cpu"))
        torch.manual_seed(0)
        for parameter in contrast.synthesizer.parameters():
            torch.nn.init.normal_(parameter)
        contrast.begin_epoch(network)
        network.eval()
        batch = Windows.cut(train, 20).batch(np.arange(10))
        anchors = network.final(batch.items, batch.lengths).detach()
        found[choice] = contrast.across(network, batch.users, anchors)
    torch.testing.assert_close(found["bank"], found["exact"])
    found["exact"].backward()
    assert network.items.weight.grad is not None
    assert network.items.weight.grad.abs().sum() > 0


# -- what is said ------------------------------------------------------------------------------------------------------


def test_items_without_any_text_are_alike_by_who_had_them_and_that_is_said() -> None:
    asked: list[str] = []

    def encode(encoder: str, options: dict[str, object], train: SequenceDataset) -> Float32Array:
        asked.append(encoder)
        return planted_encoders().encode(encoder, options, train)

    data = planted_training(60, texts=False)
    lent = TextEncoders(("tfidf-svd", "collaborative-svd"), encode)
    model = build(SRA_CL).fit(data, context(text_encoders=lent))
    assert asked == ["collaborative-svd"]
    assert any("who had them" in note for note in model.facts["notes"])  # type: ignore[attr-defined]


def test_items_without_a_vector_are_counted_in_the_notes() -> None:
    def encode(*asked: object) -> Float32Array:
        vectors = planted_encoders().encode(*asked)  # type: ignore[arg-type]
        vectors[5:9] = 0
        return vectors

    model = build(SRA_CL).fit(planted_training(60), context(text_encoders=TextEncoders(("tfidf-svd",), encode)))
    assert "4 items have no vector: they are never replaced by an item alike." in model.facts["notes"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "vectors",
    [np.zeros((32, 4), np.float32), np.ones((31, 4), np.float32), np.full((32, 4), np.nan, np.float32), np.ones(32)],
    ids=["nothing known", "too few", "not a number", "one axis"],
)
def test_vectors_that_cannot_be_used_are_refused_in_a_sentence(vectors: Float32Array) -> None:
    lent = TextEncoders(("tfidf-svd",), lambda *_: vectors)
    with pytest.raises(DataError) as refusal:
        build(SRA_CL).fit(planted_training(60), context(text_encoders=lent))
    assert "tfidf-svd" in refusal.value.what


def test_a_text_encoder_that_fails_ends_training_with_its_own_sentence() -> None:
    def fail(*_: object) -> Float32Array:
        raise DataError("The model in the folder x cannot be used.")

    with pytest.raises(DataError, match="folder x"):
        build(SRA_CL).fit(planted_training(60), context(text_encoders=TextEncoders(("tfidf-svd",), fail)))
    with pytest.raises(DataError, match="no text encoder tfidf-svd"):
        build(SRA_CL).fit(planted_training(60), FitContext())


def test_the_encoder_is_asked_with_its_folder_and_options() -> None:
    asked: list[dict[str, object]] = []

    def encode(encoder: str, options: dict[str, object], train: SequenceDataset) -> Float32Array:
        asked.append(options)
        return planted_encoders().encode(encoder, options, train)

    parameters = replace(SRA_CL, encoder="model2vec", encoder_folder="models/m", encoder_options='{"batch_size": 8}')
    build(parameters).fit(planted_training(60), context(text_encoders=TextEncoders(("model2vec",), encode)))
    assert asked == [{"folder": "models/m", "batch_size": 8}]


@pytest.mark.parametrize("options", ["{", "[1]", "width=3"])
def test_options_that_are_no_json_object_are_refused(options: str) -> None:
    with pytest.raises(ParameterError, match="JSON object"):
        build(replace(SRA_CL, encoder_options=options)).fit(planted_training(60), context())


def test_a_width_that_heads_cannot_share_is_refused() -> None:
    with pytest.raises(ParameterError, match="3 heads"):
        SasRecParameters(width=16, heads=3)


def test_histories_of_one_event_are_refused_in_a_sentence() -> None:
    data = SequenceTrainingData(
        sequences(small_catalogue(6), [[2], [3]]), HeldOut(sequences(small_catalogue(6), []), np.zeros(0, np.int32))
    )
    with pytest.raises(DataError, match="no next item to learn from"):
        build(SASREC).fit(data, context())


# -- how it trains -----------------------------------------------------------------------------------------------------


def test_with_both_weights_0_sra_cl_is_its_backbone() -> None:
    data = planted_training(80)
    plain = build(SASREC).fit(data, context())
    alone = build(replace(SRA_CL, alpha=0.0, beta=0.0)).fit(data, context())
    np.testing.assert_array_equal(alone.score(data.train), plain.score(data.train))


@pytest.mark.parametrize("neighbour_states", ["bank", "exact"])
def test_both_kinds_of_neighbour_states_learn(neighbour_states: str) -> None:
    parameters = replace(SRA_CL, neighbour_states=neighbour_states, epochs=4)
    model = build(parameters).fit(planted_training(150), context())
    assert model.facts["ndcg@10"] > 0.45  # type: ignore[attr-defined]


def test_many_items_are_compared_with_a_sample_and_updated_row_by_row() -> None:
    parameters = replace(SASREC, sampled_above=10, negatives=256, epochs=5)
    model = build(parameters).fit(planted_training(200), context())
    assert model.facts["ndcg@10"] > 0.45  # type: ignore[attr-defined]


def test_a_sampled_training_goes_on_to_the_same_numbers(tmp_path: Path) -> None:
    parameters = replace(SASREC, sampled_above=10, negatives=256)
    data = planted_training(100)
    whole = build(parameters).fit(data, context())
    kept = FolderCheckpoints(tmp_path)
    with pytest.raises(Stopped):
        build(parameters).fit(data, context(checkpoints=kept, progress=_stop_in_the_second_epoch))
    resumed = build(parameters).fit(data, context(checkpoints=kept))
    np.testing.assert_array_equal(resumed.score(data.train), whole.score(data.train))


def _stop_in_the_second_epoch(progress: FitProgress) -> None:
    if progress.epoch == 2:
        raise Stopped


def test_a_checkpoint_of_other_sequences_is_left_alone_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept = FolderCheckpoints(tmp_path)
    build(SASREC).fit(planted_training(60), context(checkpoints=kept))
    other = planted_training(60, seed=5)
    with caplog.at_level(logging.WARNING):
        resumed = build(SASREC).fit(other, context(checkpoints=kept))
    assert "starts anew" in caplog.text
    np.testing.assert_array_equal(resumed.score(other.train), build(SASREC).fit(other, context()).score(other.train))


def test_a_training_that_does_not_fit_is_refused_before_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda _: 1000)
    with pytest.raises(DataError, match="are free") as refusal:
        build(SASREC).fit(planted_training(40), context())
    assert refusal.value.facts["needed"] > 1000
    assert "width" in refusal.value.do


def test_a_device_that_is_not_there_is_refused_in_a_sentence() -> None:
    with pytest.raises(ParameterError, match="no device 'abacus'"):
        build(SASREC).fit(planted_training(40), context(device="abacus"))


def test_stop_in_a_later_epoch_returns_the_best_one() -> None:
    data = planted_training(100)
    steps = -(-len(Windows.cut(data.train, 20)) // SASREC.batch_size)
    asked = StopAfter(steps + 1)
    model = build(SASREC).fit(data, context(should_stop=asked))
    first = build(replace(SASREC, epochs=1)).fit(data, context())
    assert model.facts["ended"] == "Stopped."  # type: ignore[attr-defined]
    np.testing.assert_array_equal(model.score(data.train), first.score(data.train))


def test_a_loss_that_is_no_number_keeps_the_best_epoch_or_says_what_to_change(monkeypatch: pytest.MonkeyPatch) -> None:
    data = planted_training(60)
    plain = losses.next_item_loss

    def lost_after(good: int) -> None:
        calls = iter(range(10_000))

        def loss(*given: object) -> torch.Tensor:
            return plain(*given) * (torch.nan if next(calls) >= good else 1.0)  # type: ignore[arg-type]

        monkeypatch.setattr(losses, "next_item_loss", loss)

    steps = -(-len(Windows.cut(data.train, 20)) // SASREC.batch_size)
    lost_after(steps)
    model = build(SASREC).fit(data, context())
    assert "not a number" in model.facts["ended"]  # type: ignore[attr-defined]
    assert np.isfinite(model.score(data.train)[:, 2:]).all()
    lost_after(0)
    with pytest.raises(DataError, match="lost its way"):
        build(SASREC).fit(data, context())


def test_training_gives_back_random_numbers_and_threads() -> None:
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    build(SASREC).fit(planted_training(40), context(threads=1))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads


def test_a_user_without_a_history_gets_what_most_users_had() -> None:
    data = planted_training(60)
    model = build(SASREC).fit(data, context())
    scores = model.score(sequences(small_catalogue(30), [[]]))[0]
    counts = np.bincount(data.train.items, minlength=32)
    np.testing.assert_array_equal(np.argsort(-scores[2:], kind="stable"), np.argsort(-counts[2:], kind="stable"))
    assert model.facts["cold_start"] == "popularity"  # type: ignore[attr-defined]


def test_a_loaded_model_needs_no_text_encoder_and_remembers_its_training(tmp_path: Path) -> None:
    model = build(SRA_CL).fit(planted_training(60), context())
    model.save(tmp_path)
    loaded = load(tmp_path)
    assert loaded.catalogue.size == 32
    assert loaded.facts == model.facts  # type: ignore[attr-defined]
    assert loaded.parameters == SRA_CL  # type: ignore[attr-defined]


@pytest.mark.parametrize("damage", ["weights.safetensors", "model.json", "format", "size"])
def test_a_damaged_folder_is_refused_in_a_sentence(tmp_path: Path, damage: str) -> None:
    build(replace(SASREC, epochs=1)).fit(planted_training(40), context()).save(tmp_path)
    facts = json.loads((tmp_path / "model.json").read_text(encoding="utf-8"))
    if damage in facts:
        (tmp_path / "model.json").write_text(json.dumps({**facts, damage: 99}), encoding="utf-8")
    else:
        (tmp_path / damage).write_bytes(b"cut")
    with pytest.raises(StorageError) as refusal:
        load(tmp_path)
    assert "SASRec" in refusal.value.what


def test_two_million_items_are_trained_on_a_sample() -> None:
    catalogue = Catalogue(2_000_002)
    histories = [[2 + 7919 * user % 2_000_000, 2 + 104_729 * user % 2_000_000] for user in range(1, 40)]
    data = SequenceTrainingData(
        sequences(catalogue, histories), HeldOut(sequences(catalogue, []), np.zeros(0, np.int32))
    )
    parameters = replace(SASREC, width=2, epochs=1)
    scores = build(parameters).fit(data, context()).score(data.train.take(slice(0, 1)))
    assert scores.shape == (1, 2_000_002)
    assert np.isfinite(scores[0, 2:]).all()
