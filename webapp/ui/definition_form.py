"""The define page's form: what was typed, as the definition's JSON, and a definition as the form again."""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from werkzeug.datastructures import MultiDict

from experiments.definition import WHOLE, Definition
from experiments.errors import FieldError
from experiments.identifiers import PLACEMENT_KEY, check_key
from experiments.metrics import BUILT_IN
from experiments.wording import worded
from webapp.ui.about_form import about_json, about_texts
from webapp.ui.products import ProductOf
from webapp.ui.rule_form import RuleForm
from webapp.ui.targeting_rows import Row, to_condition, to_rows
from webapp.ui.typed import Typed, confidence_text, equal_split, moment_text, percent_text, several_lines
from webapp.ui.variant_form import VariantForm

NEW_PLACEMENT = "+"
_TEXTS = (
    "name", "key", "hypothesis", "unit", "placement", "new_placement", "touchpoint", "coverage", "split",
    "targeting_json", "primary", "confidence", "correction", "window_days", "minimum_days", "target_mde", "start_at",
    "end_at", "layer_key", "layer_start", "layer_end", "owner", "tags", "links", "reviewers", "watchers", "because",
    "reason", "daily_units", "monitoring", "planned_units", "looks", "spending", "segments",
)  # fmt: skip
_DEFAULT_ROLES = {"conversion": "secondary", "aov": "secondary", "refund_rate": "guardrail"}
_DEFAULT_MARGIN = "2%"


@dataclass
class DefinitionForm:
    """All fields as texts, in the order of the page."""

    name: str = ""
    key: str = ""
    hypothesis: str = ""
    unit: str = "visitor"
    placement: str = ""
    new_placement: str = ""
    touchpoint: str = ""
    coverage: str = "100"
    split: str = "equal"
    variants: list[VariantForm] = field(default_factory=list)
    targeting: list[Row] = field(default_factory=list)
    targeting_json: str = ""
    primary: str = "contribution_per_visitor"
    roles: dict[str, str] = field(default_factory=lambda: dict(_DEFAULT_ROLES))
    margins: dict[str, str] = field(default_factory=dict)
    confidence: str = "95"
    sequential: bool = True
    correction: str = "holm"
    window_days: str = "14"
    minimum_days: str = "7"
    target_mde: str = "5%"
    monitoring: str = "confidence_sequence"
    planned_units: str = ""
    looks: str = "5"
    spending: str = "obrien_fleming"
    segments: str = ""
    start_at: str = ""
    end_at: str = ""
    layer_key: str = ""
    layer_start: str = ""
    layer_end: str = ""
    ramp: list[tuple[str, str]] = field(default_factory=list)
    pause_when: list[str] = field(default_factory=list)
    owner: str = ""
    tags: str = ""
    links: str = ""
    reviewers: str = ""
    watchers: str = ""
    because: str = ""
    reason: str = ""
    rule: RuleForm = field(default_factory=RuleForm)
    daily_units: str = ""
    """What somebody expects where the storefront has no history; it is planned with, and no part of the definition."""

    @classmethod
    def read(cls, given: MultiDict[str, str]) -> "DefinitionForm":
        """As the browser sent it; the variants in the order of their `variant` markers."""
        form = cls()
        for name in _TEXTS:
            setattr(form, name, given.get(name, ""))
        form.sequential = "sequential" in given
        form.variants = [VariantForm.read(given, f"v{marker}-") for marker in given.getlist("variant")[:20]]
        rows = zip(*(given.getlist(f"target_{part}") for part in ("attribute", "operator", "value")), strict=False)
        form.targeting = [Row(*row) for row in rows]
        form.ramp = list(zip(given.getlist("ramp_at"), given.getlist("ramp_coverage"), strict=False))
        form.pause_when = given.getlist("pause_when")
        named = {key.removeprefix("role-") for key in given if key.startswith("role-")}
        form.roles = {key: given.get(f"role-{key}", "") for key in [*BUILT_IN, *sorted(named - BUILT_IN.keys())]}
        form.margins = {key: given.get(f"margin-{key}", "") for key in form.roles}
        form.rule = RuleForm.read(given)
        return form

    @classmethod
    def of(cls, definition: Definition, zone: ZoneInfo) -> "DefinitionForm":
        """From a definition."""
        plan, analysis, schedule = definition.metrics, definition.analysis, definition.schedule
        weights = [v.weight for v in definition.variants]
        rows = to_rows(definition.targeting)
        form = cls(
            name=definition.name,
            key=definition.key,
            hypothesis=definition.hypothesis,
            unit=definition.unit,
            placement=definition.placement,
            coverage=percent_text(definition.coverage),
            split="equal" if weights == equal_split(len(weights)) else "own",
            variants=[VariantForm.of(v, zone, definition.saved_offers.get(v.key, "")) for v in definition.variants],
            targeting=rows or [],
            targeting_json="" if rows is not None else json.dumps(definition.targeting, indent=2, ensure_ascii=False),
            primary=plan.primary,
            roles=dict.fromkeys(plan.secondary, "secondary") | {g.metric: "guardrail" for g in plan.guardrails},
            margins={g.metric: g.margin for g in plan.guardrails},
            confidence=confidence_text(analysis.confidence),
            sequential=analysis.sequential,
            correction=analysis.correction,
            window_days=str(analysis.window_days),
            minimum_days=str(analysis.minimum_days),
            target_mde=analysis.target_mde or "",
            monitoring=analysis.monitoring or "confidence_sequence",
            planned_units="" if analysis.planned_units is None else str(analysis.planned_units),
            looks=str(analysis.looks)
            if isinstance(analysis.looks, int)
            else ", ".join(f"{x:g}" for x in analysis.looks),
            spending=analysis.spending,
            segments=", ".join(analysis.segments),
            start_at=moment_text(schedule.start_at, zone),
            end_at=moment_text(schedule.end_at, zone),
            ramp=[(moment_text(step.at, zone), percent_text(step.coverage)) for step in schedule.ramp],
            pause_when=list(schedule.pause_when),
            rule=RuleForm.of(definition.rule),
            **about_texts(definition.about),
        )
        if definition.layer is not None:
            form.layer_key = definition.layer.key
            form.layer_start, form.layer_end = (
                percent_text(definition.layer.start),
                percent_text(definition.layer.end),
            )
        return form

    def to_json(
        self, zone: ZoneInfo, product_of: ProductOf, taken: Collection[str] = ()
    ) -> tuple[dict[str, Any], list[FieldError]]:
        """The definition's JSON, and what could not be read; `taken` keys are not made up again."""
        typed = Typed(zone)
        placement = (self.new_placement if self.placement == NEW_PLACEMENT else self.placement).strip()
        if not re.match(PLACEMENT_KEY, placement):
            field_name = "new_placement" if self.placement == NEW_PLACEMENT else "placement"
            unfit = worded("needs 1 to 64 letters, digits, dots, hyphens or underscores")
            typed.refuse(field_name, unfit if placement else worded("choose one"))
        if not self.name.strip() and not self.key.strip():
            typed.refuse("name", worded("is needed: reports and lists show it"))
        built: dict[str, Any] = {
            "key": self.key.strip() or free_key(slug(self.name), taken),
            "name": self.name.strip(),
            "hypothesis": several_lines(self.hypothesis),
            "placement": placement or "none",
            "unit": self.unit,
            "coverage": typed.hundredths(self.coverage, "coverage", WHOLE),
            "variants": self._variants(typed, product_of),
            "saved_offers": self._saved_offers(),
            "targeting": self._targeting(typed),
            "metrics": self._metrics(typed),
            "analysis": self._analysis(typed),
            "rule": self.rule.to_json(typed),
            "schedule": {
                "start_at": typed.moment(self.start_at, "schedule.start_at"),
                "end_at": typed.moment(self.end_at, "schedule.end_at"),
                "ramp": self.ramp_json(typed),
                "pause_when": list(dict.fromkeys(self.pause_when)),
            },
            "about": about_json(self),
        }
        if layer := self.layer_key.strip():
            built["layer"] = {"key": layer}
            if self.layer_start.strip() or self.layer_end.strip():  # else the storefront gives it the part it needs
                built["layer"]["start"] = typed.hundredths(self.layer_start, "layer.start", 0)
                built["layer"]["end"] = typed.hundredths(self.layer_end, "layer.end", WHOLE)
        if self.key.strip():
            typed.errors += check_key(self.key.strip())
        return built, typed.errors

    def variant_keys(self) -> list[str]:
        """Each variant's key as typed, or made from its name or its offer type."""
        keys: list[str] = []
        for variant in self.variants:
            shown = variant.offer.type
            made = slug(variant.name) or ("control" if shown == "none" else shown.replace("_", "-"))
            keys.append(variant.key.strip() or free_key(made, [*keys, *(v.key.strip() for v in self.variants)]))
        return keys

    def _variants(self, typed: Typed, product_of: ProductOf) -> list[dict[str, Any]]:
        built = []
        equal = equal_split(len(self.variants))
        for index, (variant, key) in enumerate(zip(self.variants, self.variant_keys(), strict=True)):
            path = f"variants[{index}]"
            typed.errors += check_key(key, f"{path}.key")
            weight = equal[index] if self.split == "equal" else typed.hundredths(variant.weight, f"{path}.weight", 0)
            offer = variant.to_json(typed, f"{path}.offer", product_of)
            built.append({"key": key, "name": variant.name.strip(), "weight": weight, "offer": offer})
        return built

    def _saved_offers(self) -> dict[str, str]:
        taken = zip(self.variant_keys(), self.variants, strict=True)
        return {key: variant.saved for key, variant in taken if variant.saved}

    def ramp_json(self, typed: Typed) -> list[dict[str, Any]]:
        """The steps of the ramp; a row without anything in it is none."""
        steps = []
        for index, (at, coverage) in enumerate(self.ramp):
            if at.strip() or coverage.strip():
                path = f"schedule.ramp[{index}]"
                if not coverage.strip():
                    typed.refuse(f"{path}.coverage", worded("say to how many percent"))
                if not at.strip():
                    typed.refuse(f"{path}.at", worded("say when"))
                elif (moment := typed.moment(at, f"{path}.at")) is not None:
                    steps.append({"at": moment, "coverage": typed.hundredths(coverage, f"{path}.coverage", WHOLE)})
        return steps

    def _targeting(self, typed: Typed) -> dict[str, Any]:
        rows = [row for row in self.targeting if not row.blank]
        for index, row in enumerate(self.targeting):
            if not row.blank and not row.attribute.strip():
                typed.refuse(f"targeting[{index}]", worded("name the attribute"))
        condition = to_condition([row for row in rows if row.attribute.strip()])
        text = self.targeting_json.strip()
        if not text:
            return condition
        try:
            written = json.loads(text)
        except (ValueError, RecursionError) as error:
            typed.refuse("targeting_json", worded("is not valid JSON: %(error)s", error=str(error)))
            return condition
        if not isinstance(written, dict):
            typed.refuse("targeting_json", worded("needs an object like %(example)s", example='{"country": "DE"}'))
            return condition
        return {"$and": [condition, written]} if condition else written

    def _metrics(self, typed: Typed) -> dict[str, Any]:
        guardrails = []
        roles = {key: role for key, role in self.roles.items() if key != self.primary}  # it decides; that is its role
        for key, role in roles.items():
            if role == "guardrail":
                margin = self.margins.get(key, "").strip() or _DEFAULT_MARGIN
                guardrails.append({"metric": key, "margin": margin})
            elif role not in {"", "secondary"}:
                typed.refuse(f"metrics.{key}", worded("%(role)s is no role", role=repr(role)))
        secondary = [key for key, role in roles.items() if role == "secondary"]
        return {"primary": self.primary, "secondary": secondary, "guardrails": guardrails}

    def _analysis(self, typed: Typed) -> dict[str, Any]:
        return {
            "confidence": typed.confidence(self.confidence, "analysis.confidence"),
            "sequential": self.sequential,
            "monitoring": self.monitoring
            if self.sequential and self.monitoring not in {"", "confidence_sequence", "fixed"}
            else None,
            "planned_units": typed.whole(self.planned_units, "analysis.planned_units", 0) or None,
            "looks": self._looks(typed),
            "spending": self.spending or "obrien_fleming",
            "segments": [name.strip() for name in self.segments.split(",") if name.strip()],
            "correction": self.correction or "holm",
            "window_days": typed.whole(self.window_days, "analysis.window_days", 14),
            "minimum_days": typed.whole(self.minimum_days, "analysis.minimum_days", 7),
            "target_mde": self.target_mde.strip() or None,
        }

    def _looks(self, typed: Typed) -> int | list[float]:
        """So many looks, `5`, or their parts of the plan, `0.5, 0.75, 1`."""
        if "," not in self.looks and "." not in self.looks:
            return typed.whole(self.looks, "analysis.looks", 5)
        try:
            return [float(part) for part in self.looks.split(",")]
        except ValueError:
            wrong = worded("must be a number, or parts such as 0.5, 0.75, 1, and is %(given)s", given=repr(self.looks))
            typed.refuse("analysis.looks", wrong)
            return 5


def slug(name: str) -> str:
    """A key made of a name: `Cart: which offer?` is `cart-which-offer`."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60].strip("-")


def free_key(wanted: str, taken: Collection[str]) -> str:
    """The wanted key, or the first of `wanted-2`, `wanted-3` … that is not taken."""
    wanted = wanted or "experiment"
    if wanted not in taken:
        return wanted
    return next(key for number in range(2, len(taken) + 3) if (key := f"{wanted}-{number}") not in taken)
