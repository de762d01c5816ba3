"""What follows from what was found: nothing, a labelling request, or a retraining. A pure function."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from tasks.params.watch import WatchParams
from tasks.watch.findings import Findings, Group, Harm

Action = Literal["nothing", "label", "retrain"]
_WEEK = timedelta(days=7)
_BENIGN = "benign drift: no retraining"
REPAIRED = "repaired: no retraining"
_SHOWN = 5


@dataclass(frozen=True)
class Past:
    """An earlier decision of the watch.

    Attributes:
        key: Of its row in the decision log.
        version: The champion that it was about.
        action: What was decided.
        now: The moment of that watch.
        labelled: Labelled clips of its window.
        answered: The version that its round made; None while no round has ended. Of retrainings.
        hours: That its round took; None while none has ended. Of retrainings.
        request: The folder of its labelling request.
        alarm: The alarm that it was about.
        teaching: Labelled clips of its window that could teach.
        about: Groups that its labelling request was about; none where it was about all.
        labels: Labels that people have given to the clips of its request.
        clips: That its request asked about.
    """

    key: str
    version: int
    action: Action
    now: datetime
    labelled: int
    answered: int | None = None
    hours: float | None = None
    request: str = ""
    alarm: str | None = None
    teaching: int = 0
    about: tuple[str, ...] = ()
    labels: int = 0
    clips: int = 0


@dataclass(frozen=True)
class Hurt:
    """Whether drift hurts, and how that is known.

    Attributes:
        verdict: ``unsure`` where nothing says so or labels are too few to.
        how: Whether labels measured it or confidence alone estimates it.
        says: The same for people.
    """

    verdict: Literal["yes", "no", "unsure"]
    how: Literal["measured", "estimated"] | None
    says: str


@dataclass(frozen=True)
class Choice:
    """What is done, and why.

    Attributes:
        action: What follows.
        what: The same for people, in a few words.
        why: In a sentence or two.
        about: Groups whose clips are asked about; all clips where there are none.
        clips: That people are asked about, at most.
    """

    action: Action
    what: str
    why: str
    about: tuple[str, ...] = ()
    clips: int = 0


def decide(findings: Findings, past: Sequence[Past], params: WatchParams) -> Choice:
    """Drift and harm together retrain, drift alone is benign, harm unknown asks for labels; all within budgets.

    An estimate is enough to say that drift hurts. That it does not, labels have to measure; only where people do not
    answer within ``watch.patience_days`` an estimate may say so alone. A group that has changed, and of which
    it is not known, is asked about by itself before.

    Args:
        findings: Of this watch.
        past: Earlier decisions about the same registered model, the oldest first.
        params: Section ``watch``.
    """
    choice = _wanted(findings, past, params)
    return _within_labels(choice, findings, past, params) if choice.action == "label" else choice


def _wanted(findings: Findings, past: Sequence[Past], params: WatchParams) -> Choice:
    if findings.halted:
        return Choice("nothing", "nothing was judged", findings.halted)
    if findings.alarm is None:
        return Choice("nothing", "nothing to do", _unchanged(findings))
    drift = _drift(findings)
    if findings.days_watched < params.warm_up_days:
        wait = f"this champion has been watched for {findings.days_watched:.1f} of {params.warm_up_days:g} days"
        return Choice("nothing", "wait for the end of the warm-up", f"{drift}; {wait}")
    hurt = harm_of(findings, params)
    hurts, reason = hurt.verdict, f"{drift}; {hurt.says}"
    if hurts == "no":
        benign = _benign(findings, past, params, hurt, reason)
        choice = _groups_known(findings, past, params, benign) if benign.what == _BENIGN else benign
        return replace(choice, what=REPAIRED) if findings.inherited and choice.what == _BENIGN else choice
    retrained = [one for one in past if one.action == "retrain"]
    last = retrained[-1] if retrained else None
    if last and last.answered is None and last.version == findings.version:
        wait = f"the retraining of {last.now:%Y-%m-%d} has not ended; it is announced again if nobody took it up"
        return Choice("nothing", "wait for the retraining", f"{reason}; {wait}")
    if hurts == "yes":
        if last and _is_about_this(last, findings, params):
            reason = f"{reason}; {_not_repaired(last, findings)}"
        if last and findings.now - last.now < (cooldown := _cooldown(retrained, findings, params)):
            why = f"the last retraining was decided on {last.now:%Y-%m-%d}, and the cooldown is {_days(cooldown)}"
            return Choice("nothing", "wait: cooldown", f"{reason}; {why}")
        teaching, needed = findings.overall.teaching, _needed(last, findings, params)
        if teaching >= needed:
            return _retrain(findings, retrained, params, reason)
        reason = f"{reason}; {_teach(teaching)} and retraining needs {needed}"
    return _ask(findings, past, params, reason)


def _within_labels(choice: Choice, findings: Findings, past: Sequence[Past], params: WatchParams) -> Choice:
    """People are asked about so many clips in seven days and no more, however long the watch stays unsure."""
    asked = sum(one.clips for one in past if one.action == "label" and findings.now - one.now < _WEEK)
    left = params.request_clips_per_week - asked
    if left < 1:
        why = f"people were asked about {asked} clips in seven days, all that watch.request_clips_per_week allows"
        return Choice("nothing", "wait: labelling budget", f"{choice.why}; {why}")
    return replace(choice, clips=min(params.request_clips, left))


def harm_of(findings: Findings, params: WatchParams) -> Hurt:
    """Whether it hurts, over all sources or in a group that has changed, and how that is known.

    A drop is harm where its interval lies above zero and it exceeds the tolerance. What is measured on labelled clips
    holds against what is estimated, and says that there is none only on half of ``watch.request_at_random`` labels. It
    is measured on all sources, and where that is possible on those alone that were not trained on, like those of the
    reference: the champion knows the others, which hides harm.
    """
    changed = [group for group in findings.groups if group.changed]
    judged = [(group, _harm_in(group, params)) for group in (findings.overall, *changed)]
    for wanted in ("yes", "unsure", "no"):
        for group, hurt in judged:
            if hurt.verdict == wanted and (wanted != "unsure" or group is findings.overall):
                return hurt if group is findings.overall else replace(hurt, says=f"in {group.name}: {hurt.says}")
    return judged[0][1]


def _harm_in(group: Group, params: WatchParams) -> Hurt:
    """Of one group. What is measured says "yes" where any of it does, and "no" where all of it does."""
    measured = [harm for harm in group.harm if harm.how == "measured"]
    verdicts = [_verdict(harm, params) for harm in measured]
    if "yes" in verdicts:
        return Hurt("yes", "measured", _accuracy(measured[verdicts.index("yes")]))
    if measured and set(verdicts) == {"no"}:
        return Hurt("no", "measured", "; ".join(map(_accuracy, measured)))
    said = "; ".join(map(_accuracy, group.harm)) or "nothing is known about accuracy"
    if any(not _is_enough(harm, params) for harm in measured if harm.drop):
        said = f"{said}; fewer than {_enough(params)} labels that measure do not show that there is no harm"
    for harm in group.harm:
        if harm.how == "estimated" and (verdict := _verdict(harm, params)) != "unsure":
            return Hurt(verdict, "estimated", said)
    return Hurt("unsure", None, said)


def _verdict(harm: Harm, params: WatchParams) -> Literal["yes", "no", "unsure"]:
    if harm.drop is None:
        return "unsure"
    if harm.drop.low > 0 and harm.drop.estimate > params.tolerance:
        return "yes"
    if harm.how == "measured" and not _is_enough(harm, params):
        return "unsure"
    return "no" if harm.drop.estimate <= params.tolerance else "unsure"


def _enough(params: WatchParams) -> int:
    """Labels that measure without which nothing is shown to do no harm: any handful of right answers would."""
    return math.ceil(params.request_at_random / 2)


def _is_enough(harm: Harm, params: WatchParams) -> bool:
    return harm.clips >= _enough(params)


def _accuracy(harm: Harm) -> str:
    if harm.drop is None or harm.after is None or harm.before is None:
        return f"accuracy cannot be {harm.how}: {harm.says.rstrip('.')}"
    on = f"{harm.clips} clips of {harm.of}" if harm.of else f"{harm.clips} clips"
    return (
        f"accuracy {harm.how} on {on} is {harm.after.estimate:.3f} ({harm.after.low:.3f} to {harm.after.high:.3f}) "
        f"instead of {harm.before:.3f}"
    )


def _unchanged(findings: Findings) -> str:
    overall = findings.overall
    says = f"no change is shown: evidence {overall.evidence:.3g}, and {overall.limit:.3g} would raise the alarm"
    small = [f"{test.name} p = {test.p_value:.3f}" for test in overall.tests if test.p_value is not None]
    return f"{says} ({', '.join(small)} in this window)" if small else says


def _drift(findings: Findings) -> str:
    overall = findings.overall
    where = ", ".join(findings.changed_groups[:_SHOWN])
    return (
        f"the world has changed ({where}; evidence {overall.evidence:.3g}, limit {overall.limit:.3g}, alarm on "
        f"{findings.alarm}{f'; since about {findings.since}' if findings.since else ''})"
    )


def _is_about_this(last: Past, findings: Findings, params: WatchParams) -> bool:
    """Whether a retraining that has ended was about the change that is harmful now.

    Either this champion's own alarm led to it, or it made this champion, whose alarm came so early that its window
    reached back to before it was champion.
    """
    if last.answered is None or findings.alarm is None:
        return False
    if last.version == findings.version:
        return last.alarm == findings.alarm
    first_watch = findings.now - timedelta(days=findings.days_watched)
    early = f"{first_watch + timedelta(days=params.window_days):%Y-%m-%d}"
    return last.answered == findings.version and findings.alarm[: len(early)] <= early


def _cooldown(retrained: Sequence[Past], findings: Findings, params: WatchParams) -> timedelta:
    """How long after the last retraining there is none; nor is anybody asked for labels that would wait with it.

    It doubles with each retraining about the same change, as a change that one has not repaired wants more video than
    that had. So the cost of a change that nothing repairs grows with the logarithm of its age.
    """
    if not _is_about_this(retrained[-1], findings, params):
        return timedelta(days=params.cooldown_days)
    alarms = {findings.alarm, findings.inherited.alarm if findings.inherited else None}
    earlier = sum(one.alarm in alarms for one in retrained[:-1])
    return timedelta(days=params.cooldown_days * 2 ** (1 + earlier))


def _needed(last: Past | None, findings: Findings, params: WatchParams) -> int:
    """Labelled clips that can teach without which nothing is retrained: so many that no retraining has had.

    What a champion was made with is not in its window. Of a version that is not champion it is, until it slides out.
    """
    is_had = last is not None and last.version == findings.version and _is_about_this(last, findings, params)
    if last is None or not is_had or findings.now - last.now >= timedelta(days=params.window_days):
        return params.min_labels
    return last.teaching + params.min_labels


def _days(length: timedelta) -> str:
    return f"{length / timedelta(days=1):g} days"


def _teach(teaching: int) -> str:
    return f"{teaching} labelled clips since the change can teach"


def _not_repaired(last: Past, findings: Findings) -> str:
    if last.version == findings.version:
        return (
            f"the retraining of {last.now:%Y-%m-%d} made version {last.answered}, which is not champion: promote it if "
            "it is better; another one on the same labels would make the same"
        )
    return f"the retraining of {last.now:%Y-%m-%d} has not repaired it; another one on the same labels would not either"


def _retrain(findings: Findings, retrained: Sequence[Past], params: WatchParams, reason: str) -> Choice:
    week = [one for one in retrained if findings.now - one.now < _WEEK]
    hours = sum(one.hours or 0.0 for one in week)
    expected = next((one.hours for one in reversed(retrained) if one.hours), 0.0)
    if len(week) >= params.runs_per_week:
        why = f"{len(week)} retrainings in seven days are all that watch.runs_per_week allows"
        return Choice("nothing", "wait: budget", f"{reason}; {why}")
    if hours + expected > params.hours_per_week:
        why = f"{hours:.1f} hours of training in seven days and {expected:.1f} more would exceed watch.hours_per_week"
        return Choice("nothing", "wait: budget", f"{reason}; {why}")
    return Choice("retrain", "retrain", f"{reason}; {_teach(findings.overall.teaching)}")


def _benign(findings: Findings, past: Sequence[Past], params: WatchParams, hurt: Hurt, reason: str) -> Choice:
    """Nothing, once labels have measured that it does not hurt or people have had time to give them.

    Where labels measured and were too few to tell, more are asked for when some have come. Otherwise they are asked for
    once in an alarm, so that labels which cannot measure do not make another request.
    """
    benign = Choice("nothing", _BENIGN, reason)
    if hurt.how == "measured":
        return benign
    measured = any(harm.how == "measured" and harm.drop for harm in findings.overall.harm)
    last = next((one for one in _requests(findings, past) if not one.about), None)
    if last is None or (measured and _have_come(last, findings)):
        return Choice("label", "ask for labels", f"{reason}, which an estimate alone cannot call benign")
    since = _asked_on(last)
    if _is_recent(last, findings, params):
        return Choice("nothing", "wait for labels", f"{reason}; {since}")
    over = f"no labels since then tell otherwise, and watch.patience_days ({params.patience_days:g}) are over"
    return replace(benign, why=f"{reason}, by the estimate alone: {since}, {over}")


def _groups_known(findings: Findings, past: Sequence[Past], params: WatchParams, benign: Choice) -> Choice:
    """Benign, unless it is not known of a group that has changed: all sources together hide one that is broken.

    People are asked about its clips once in an alarm. When they have had their time, the reason names it.
    """
    unknown = [group for group in findings.groups if group.changed and _harm_in(group, params).verdict == "unsure"]
    if not unknown:
        return benign
    names = [group.name for group in unknown]
    shown = f"{', '.join(names[:_SHOWN])}{f' and {len(names) - _SHOWN} more' if len(names) > _SHOWN else ''}"
    reason = f"{benign.why}; of {shown} alone it is not known whether it hurts"
    asked = [one for one in _requests(findings, past) if set(one.about) & set(names)]
    known_of = {name for one in asked for name in one.about}
    # Of a group without clips in the window nobody can be asked.
    wanted = tuple(group.name for group in unknown if group.clips > group.labelled and group.name not in known_of)
    if wanted:
        return Choice("label", "ask for labels", reason, wanted)
    if asked and _is_recent(asked[0], findings, params):
        return Choice("nothing", "wait for labels", f"{reason}; {_asked_on(asked[0])}")
    return replace(benign, why=f"{reason}; {_asked_on(asked[0])}" if asked else reason)


def _ask(findings: Findings, past: Sequence[Past], params: WatchParams, reason: str) -> Choice:
    """Ask once, again when some labels have come, and again when none have for as long as people are given."""
    last = next(iter(_requests(findings, past)), None)
    if last and not _have_come(last, findings) and _is_recent(last, findings, params):
        return Choice("nothing", "wait for labels", f"{reason}; {_asked_on(last)}")
    return Choice("label", "ask for labels", reason)


def _have_come(last: Past, findings: Findings) -> bool:
    """Whether labels have come since a request: of its own clips, as others may slide out of the window."""
    return last.labels > 0 or findings.overall.labelled > last.labelled


def _asked_on(last: Past) -> str:
    return f"labels were asked for on {last.now:%Y-%m-%d} ({last.request})"


def _is_recent(last: Past, findings: Findings, params: WatchParams) -> bool:
    """Whether people still have time to answer."""
    return findings.now - last.now < timedelta(days=params.patience_days)


def _requests(findings: Findings, past: Sequence[Past]) -> list[Past]:
    """Labelling requests about this champion and alarm, the latest first."""
    about = (findings.version, findings.alarm)
    return [one for one in reversed(past) if one.action == "label" and (one.version, one.alarm) == about]
