"""Where the encoder of a seed comes from: trained by the plan's method, or rebuilt from what --init names.

Both can also be built without training, where the method says how, to be tried on two clips before anything is written.
"""

from __future__ import annotations

from collections.abc import Set

from pydantic import BaseModel
from torch import nn

from stars_bench.errors import StarsBenchError
from stars_bench.experiments import pretrained
from stars_bench.experiments.plan import Plan
from stars_bench.experiments.pretrained import Pretrained
from stars_bench.experiments.seed_run import EncoderSource, SeedRun, TrainedEncoder
from stars_bench.io.files import digest_json
from stars_bench.io.source.closure import is_typed, source_closure
from stars_bench.protocols.splits import LAST
from stars_bench.training.module_state import digest_module, kinds
from stars_bench.training.parallel import distributed
from stars_bench.training.stages import StageRun


def source_of(plan: Plan) -> EncoderSource:
    """Choose the source: --init where it gives the method's own encoder, else the method."""
    return EncoderSource(_rebuilt, rebuilt) if plan.is_trained else EncoderSource(_untrained, trained)


def rebuilt(run: SeedRun) -> TrainedEncoder:
    """Rebuild the encoder that --init names, already trained by the plan's method.

    Raises:
        UsageError: Its method cannot be built without training, or it is for other joints.
    """
    encoder, key = _rebuilt(run), _start(run).key
    return TrainedEncoder(encoder.to(run.plan.device), key)


def _rebuilt(run: SeedRun) -> nn.Module:
    return pretrained.rebuild(_start(run), run.store.num_joints)


def _start(run: SeedRun) -> Pretrained:
    if run.start is None:
        raise StarsBenchError(f"{run.folder.path}: there is no encoder to start from with seed {run.seed}")
    return run.start


def _untrained(run: SeedRun) -> nn.Module | None:
    """The method's encoder before training; what it starts from is rebuilt, too, so that it fails now or never."""
    if run.start is not None:
        _rebuilt(run)
    method = run.plan.method()
    return pretrained.build(method, run.plan.config, run.store.num_joints) if hasattr(method, "build") else None


def trained(run: SeedRun) -> TrainedEncoder:
    """Train the encoder by the plan's method, from what --init names where there is one, and keep it in encoder.pt.

    Raises:
        StarsBenchError: `fit` returns something else than an encoder of finite features, or training fails.
    """
    plan, start, method = run.plan, run.start, run.plan.method()
    fit, encoder = fitted(run)
    if plan.selects_encoder and all(stage.epoch is None for stage in fit.stages):
        raise StarsBenchError(
            f"--select {plan.request.select}: no stage of {plan.method.name} has a module with classify(x) and frames, "
            "and none says Stage.classify"
        )
    distributed.take_weights_of_first(encoder)
    encoder = encoder.to(plan.device).requires_grad_(True)
    run.probe(encoder)
    config = plan.config.model_dump(mode="json")
    code = source_closure([plan.method, *kinds(encoder)]).digest
    parts = {"stages": fit.key, "method": plan.target, "config": config, "code": code}
    if not fit.stages:
        # Its values may depend on anything, such as a file: they stand for themselves.
        parts["values"] = distributed.from_first(lambda: digest_module(encoder))
        if run.tell and getattr(method, "trains", True) and run.seed == plan.request.seeds[0]:
            run.tell(
                "fit trained nothing through run.train, so every command runs it again, and the "
                "digest of its weights names its results"
            )
    key = digest_json(parts)
    facts = {
        "method": plan.target,
        "config": config,
        "preset": plan.preset_name(),
        "run": plan.key,
        "key": key,
        "seed": run.seed,
        "dataset": plan.dataset.name,
        "protocol": plan.protocol.name,
        "stream": plan.request.stream,
        "recipe": "common" if plan.recipe is None else "own",
        "stages": [[stage.name, stage.key] for stage in fit.stages],
        "select": plan.request.select if plan.selects_encoder else LAST,
        "train": _together(set(run.names(run.learnt)), start.train if start else set()),
        "classes": _together(run.class_names(run.learnt), start.classes if start else set()),
    }
    if distributed.is_first():
        pretrained.save(run.folder.encoder, encoder, facts)
    return TrainedEncoder(encoder, key, fit.stages)


def fitted(run: SeedRun) -> tuple[StageRun[BaseModel], nn.Module]:
    """Let the plan's method train its encoder; nothing of it is kept here.

    Returns:
        What trained its stages, and the encoder.

    Raises:
        StarsBenchError: `fit` returns something else than an encoder, or training fails.
    """
    plan, start, method = run.plan, run.start, run.plan.method()
    loaded = None if start is None else pretrained.rebuild(start, run.store.num_joints).to(plan.device)
    context = {} if start is None else {"started_from": start.key}
    typed = [plan.method] if is_typed(plan.method.__module__) else []
    fit = run.stage_run(plan.config, run.learnt, typed, start=loaded, selects=plan.selects_encoder, **context)
    clips = run.part(run.learnt, labelled=getattr(method, "needs_labels", False))
    return fit, pretrained.checked(method.fit(clips, fit), plan.method.name, "fit")


def _together(own: Set[str], before: Set[str] | None) -> Set[str] | None:
    """Return what an encoder was trained on in all; None: unknown."""
    return None if before is None else own | before
