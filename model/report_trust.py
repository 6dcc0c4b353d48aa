"""The report's second half: what is proved, what chance did, and what the model is not for."""

from collections.abc import Mapping

from model.fairness import FEWEST
from model.monotone import Chain
from model.page import NOTHING, heading, listing, paragraph, plain, table
from model.psi import psi
from model.report_fairness import verdict
from model.scorecard import MEASURES, RESAMPLES
from model.study import Study
from model.summary import told
from preprocessing.encode import COLUMN, MODEL_FIELDS
from preprocessing.fields import Category, Number

MEASURE_NAMES = {"auc": "AUC", "ks": "KS", "brier": "Brier score", "log_loss": "log loss"}
_WORDS = {1: "more never lowers the risk", -1: "more never raises the risk"}


def summary(study: Study) -> str:
    """What a person signs, in one table."""
    test, training = study.facts["metrics"]["test"], study.facts["training"]
    moved = psi(study.probability[study.splits.fitting], study.probability[study.splits.test])
    rows = [
        ("Ranking on the test split", f"AUC {test['auc']:.4f}, KS {test['ks']:.4f} on {test['rows']:,} applicants"),
        ("Calibration", f"mean distance {test['calibration_error']:.4f} between probability and bad rate"),
        ("Against a scorecard", study.comparison.conclusion),
        ("Directions that the domain demands", _proved(study)),
        ("Export", f"equal to XGBoost within {training['parity']['largest_difference']:.1e} in probability"),
        ("Splits alike", f"PSI of the score, test against fitting: {moved:.4f}"),
        ("Other seeds", _steady(study)),
        *((f"Fairness: {audit.label}", verdict(audit)) for audit in study.audits),
    ]  # fmt: skip
    return table(("what", "found"), rows, words=2)


def monotonicity(study: Study) -> str:
    """The proof of each demanded direction, and what follows for the fields."""
    proofs = [
        (proof.label, _WORDS[proof.direction], "proved" if proof.proved else "NOT PROVED",
         f"{proof.trees}", f"{proof.pairs:,}")
        for proof in study.proofs
    ]  # fmt: skip
    fields = [(chain.label, _WORDS[chain.direction], _chained(chain)) for chain in study.chains]
    return (
        paragraph(
            "Proved on the exported ONNX graph, not sampled: in every tree that splits on a feature, every pair of "
            "leaves that differ along it and meet on all other features, missing values included, is compared at the "
            "cells that the split thresholds make. If every tree is monotone, so is their sum, in float32 too. The "
            "proof speaks of the margin, the sum of the trees. The sigmoid that follows is monotone but for rounding: "
            "in ONNX Runtime it may dip by 2e-7, so that an answer's sixth digit may differ by one. Of a missing value "
            "no demand speaks."
        )
        + table(("feature", "demand", "", "trees that use it", "pairs of leaves compared"), proofs, words=3)
        + heading("What follows for the fields")
        + paragraph(
            "A field acts by itself, as proved above, and through the derived features that move with it. Which way "
            "they move was observed in the graph's own features over the field's permitted range."
        )
        + table(("field", "demand", "through derived features"), fields, words=3)
    )


def seeds(study: Study) -> str:
    """Refits on the same splits, and cross-validation on others."""
    test, training = study.facts["metrics"]["test"], study.facts["training"]
    rows = [(f"{training['seed']} (this model)", f"{training['trees']}", f"{test['auc']:.4f}", "1.0000", "0.0%")]
    rows += [
        (f"{run.seed}", f"{run.trees}", f"{run.auc:.4f}", f"{run.rank_correlation:.4f}", f"{run.other_tier:.1%}")
        for run in study.seeds
    ]
    text = (
        "The same rows and splits with other seeds, which draw other rows and columns for each tree. Rank correlation "
        "is Spearman's on the test split; a tier changes where the refit's probability falls on another side of this "
        "model's thresholds."
    )
    found = table(("seed", "trees", "AUC", "rank correlation", "applicants in another tier"), rows)
    if cv := study.facts["metrics"].get("cross_validation"):
        each = ", ".join(f"{auc:.4f}" for auc in cv["auc_by_seed"])
        found += paragraph(f"AUC of {cv['folds']}-fold cross-validation: {cv['auc']:.4f} (by seed: {each}).")
    return paragraph(text) + found


def scorecard(study: Study) -> str:
    """The champion beside the transparent baseline."""
    comparison = study.comparison
    rows = [
        (MEASURE_NAMES[name], f"{comparison.champion[name]:.4f}", f"{comparison.scorecard[name]:.4f}",
         f"{comparison.champion[name] - comparison.scorecard[name]:+.4f}")
        for name in MEASURES
    ]  # fmt: skip
    value, low, high = comparison.difference
    parts = sorted(comparison.characteristics, key=lambda part: -part.information_value)
    return (
        paragraph(comparison.conclusion)
        + table(("on the test split", "trees", "scorecard", "difference"), rows)
        + paragraph(
            f"Difference of AUC {value:+.4f}, 95 % interval {low:+.4f} to {high:+.4f} ({RESAMPLES:,} paired bootstrap "
            "samples of the test applicants, by outcome). The scorecard is a logistic regression on weights of "
            "evidence of the raw fields: numbers in fifths, words one by one, missing values apart, all fitted on the "
            "fitting split, without hand work on bins."
        )
        + table(
            ("field", "bins", "information value", "weight"),
            [(part.label, f"{part.bins}", f"{part.information_value:.3f}", f"{part.weight:.2f}") for part in parts],
        )
    )


def parity(study: Study) -> str:
    """The certificate that what is served is what was trained."""
    found = study.facts["training"]["parity"]
    return paragraph(
        f"On {found['rows']:,} generated applications the exported graph and XGBoost with the calibrator differ by at "
        f"most {found['largest_difference']:.2e} in probability. The limit is 1e-6, and above it nothing is written. "
        "The applications cover the whole domain: missing and infinite values, values equal to and next to the trees' "
        "split thresholds, and codes that no schema knows."
    ) + paragraph(
        f"On {found['rows_of_contributions']:,} of the same kind the contributions behind the reasons differ from "
        f"XGBoost's own exact ones by at most {found['largest_difference_of_contributions']:.2e} in log-odds, and with "
        "the bias they add up to the margin. The limit is 1e-5, and above it nothing is written."
    )


def limits(study: Study) -> str:
    """What the model is not for, as the data itself says."""
    matrix, splits = study.data.matrix, study.splits
    bad = study.data.bad
    says = [
        f"Trained on {splits.fitting.size:,} of {bad.size:,} labelled applications, {int(bad.sum()):,} of all bad. A "
        f"rate in this report is as exact as the {splits.test.size:,} applicants of the test split allow.",
        "The file does not say from which period its applications are. Nothing here shows how the model does on later "
        "ones: watch the distributions and the bad rates, and train again when they move.",
        "Only applicants with a known outcome are in it. If they had been accepted by another rule, the rejected are "
        "missing, and the model knows nothing of people like them.",
        "The model ranks and estimates risk. It does not say why anybody pays or not, and it is no reason by itself.",
        "It is for the kind of application that the schema describes, in the same units and currency, and for no other "
        "purpose, such as setting prices, collecting debts or judging people outside an application.",
    ]
    if decisions := study.facts["training"]["decisions"]:
        says.append(
            f"{told(decisions)}. Who was declined has no outcome: of them only those are here whom reviewers have "
            "judged, and that is their opinion and not what became of them. So these applicants are no fair sample of "
            "those who apply, and the lenient edge of the old policy shows in the new model."
        )
    small = [
        f"{group.name} ({audit.label}, {group.rows})"
        for audit in study.audits for group in audit.groups if group.is_small
    ]  # fmt: skip
    if small:
        says.append(
            f"Of groups of fewer than {FEWEST} test applicants fairness says next to nothing: {', '.join(small)}."
        )
    rare = [
        f"{word} ({field.kind.label}, {count})"
        for field in MODEL_FIELDS if isinstance(field.kind, Category)
        for code, word in enumerate(field.kind.values)
        if (count := int((matrix[splits.fitting, COLUMN[field.name]] == code).sum())) < FEWEST
    ]  # fmt: skip
    if rare:
        says.append(f"Words that fewer than {FEWEST} of the applicants it was fitted on have: {', '.join(rare)}.")
    ranges = [
        (field.kind.label, field.kind.unit, *((plain(low), plain(high)) if low <= high else (NOTHING, NOTHING)))
        for field in MODEL_FIELDS if isinstance(field.kind, Number)
        for low, high in [study.facts["ranges"][field.name]]
    ]  # fmt: skip
    return (
        listing(says)
        + paragraph("What the fitting split saw; the service scores values outside and warns of them:")
        + table(("field", "unit", "lowest", "highest"), ranges, words=2)
    )


def hashes(study: Study, files: Mapping[str, str]) -> str:
    """What this report is about, by sha256, and how to make it again."""
    training = study.facts["training"]
    rows = [*files.items(), ("training data", training["data_sha256"])]
    if decisions := training["decisions"]:
        rows.append(("decisions learned from", decisions["sha256"]))
    calibration = training["calibration"]
    made = [
        ("seed", f"{training['seed']}"),
        ("trees", f"{training['trees']}"),
        ("calibration", f"slope {calibration['slope']:.6f}, intercept {calibration['intercept']:.6f}"),
        *((name, f"{value}") for name, value in training["parameters"].items()),
        *((f"library {name}", version) for name, version in study.facts["libraries"].items()),
    ]
    return (
        table(("file", "sha256"), rows, words=2, kind="hashes")
        + paragraph("The same data, seed and libraries give the same bytes, this report's included.")
        + table(("made with", ""), made, words=2)
    )


def signatures() -> str:
    roles = ("Model owner", "Independent validation", "Risk management", "Approved for use by")
    return table(
        ("role", "name", "decision and conditions", "date", "signature"),
        [(role, "", "", "", "") for role in roles],
        5,
        "sign",
    )


def _proved(study: Study) -> str:
    proved = sum(proof.proved for proof in study.proofs)
    following = sum(chain.follows for chain in study.chains)
    return (
        f"{proved} of {len(study.proofs)} features proved on the exported graph; for {following} of "
        f"{len(study.chains)} fields it holds through every derived feature too"
    )


def _steady(study: Study) -> str:
    if not study.seeds:
        return "not tried"
    aucs = [run.auc for run in study.seeds]
    moved = max(run.other_tier for run in study.seeds)
    return (
        f"AUC {min(aucs):.4f} to {max(aucs):.4f} in {len(aucs)} refits; at most {moved:.1%} of applicants change tier"
    )


def _chained(chain: Chain) -> str:
    if not chain.links:
        return "none moves with it: the proof of the field is all there is to say"
    told = []
    for label, moves, risk in chain.links:
        way = "goes both ways" if moves is None else "rises with it" if moves > 0 else "falls with it"
        demand = "no demand" if not risk else f"proved: {_WORDS[risk]}"
        told.append(f"{label} {way} ({demand})")
    end = "so it follows" if chain.follows else "so it does NOT follow for the field as a whole"
    return f"{'; '.join(told)}: {end}"
