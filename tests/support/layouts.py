"""Well-known datasets in miniature: real names of files and real formats of lists."""

import json
from collections.abc import Callable
from pathlib import Path

UCF_CLASSES = ("HandstandPushups", "YoYo")
HMDB_CLASSES = ("brush_hair", "wave")
SOMETHING = ("Holding [something] next to [something]", "Tearing [something] into two pieces")


def empty(path: Path) -> Path:
    """A file with the right name, for tests that decode nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(path.name.encode())
    return path


Write = Callable[[Path], Path]


def ucf101(root: Path, write: Write = empty) -> Path:
    """Two classes with groups 1 to 5; groups 1 and 2 are the test of split 1. One class's files are spelt unlike it."""
    train, test = [], []
    for number, label in enumerate(UCF_CLASSES, start=1):
        spelt = label.replace("Handstand", "HandStand")
        for group in range(1, 6):
            name = f"{label}/v_{spelt}_g{group:02d}_c01.avi"
            write(root / "UCF-101" / name)
            (test if group <= 2 else train).append(name if group <= 2 else f"{name} {number}")
    lists = root / "ucfTrainTestlist"
    lists.mkdir(parents=True)
    (lists / "classInd.txt").write_text("".join(f"{n} {label}\r\n" for n, label in enumerate(UCF_CLASSES, start=1)))
    (lists / "trainlist01.txt").write_text("".join(f"{row}\n" for row in train))
    (lists / "testlist01.txt").write_text("".join(f"{row}\n" for row in test))
    return root


def hmdb51(root: Path, write: Write = empty) -> Path:
    """Two classes: of six clips three are trained on, two tested on, and one is neither."""
    for label in HMDB_CLASSES:
        rows = []
        for number, side in enumerate((1, 1, 1, 2, 2, 0)):
            film = "#20_Rhythm_clap" if number < 1 else f"Film_{label}_{number}"
            name = f"{film}_{label}_u_nm_np1_fr_goo_{number}.avi"
            write(root / "hmdb51_org" / label / name)
            rows.append(f"{name} {side} \n")
        path = root / "testTrainMulti_7030_splits" / f"{label}_test_split1.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(rows))
    return root


def kinetics(root: Path, write: Write = empty) -> Path:
    """Train, validate and test lists as published; two clips of one video, and one that is gone from YouTube."""
    rows: dict[str, list[str]] = {"train": [], "validate": [], "test": []}
    for label in ("air drumming", "tying knot (not on a tie)"):
        initial = label[0]
        for split, at in rows.items():
            for number in range(2):
                video = f"-{initial}{split[:3]}{number}_Abc"
                at.append(f"{label},{video},{10 * number},{10 * number + 10},{split}\n")
                write(root / split / f"{video}_{10 * number:06d}_{10 * number + 10:06d}.mp4")
    rows["train"].append("air drumming,-atra0_Abc,30,40,train\n")
    write(root / "train" / "-atra0_Abc_30_40.mp4")
    rows["train"].append("air drumming,gone_From_Yt,1,11,train\n")
    for split, at in rows.items():
        (root / f"{split}.csv").write_text("label,youtube_id,time_start,time_end,split\n" + "".join(at))
    return root


def something(root: Path, write: Write = empty) -> Path:
    """Two classes, three clips each to train on, two to validate on, and a test without labels."""
    lists: dict[str, list[dict[str, object]]] = {"train": [], "validation": [], "test": []}
    for number, template in enumerate(SOMETHING):
        for kind, count in (("train", 3), ("validation", 2), ("test", 1)):
            for clip in range(count):
                name = str(1000 * len(kind) + 10 * number + clip)
                write(root / "20bn-something-something-v2" / f"{name}.webm")
                filled = template.replace("[something]", "a cup")
                known = {"label": filled, "template": template, "placeholders": ["a cup"]} if kind != "test" else {}
                lists[kind].append({"id": name, **known})
    classes = {template.replace("[", "").replace("]", ""): str(n) for n, template in enumerate(SOMETHING)}
    for kind, content in {**lists, "labels": classes}.items():
        (root / f"something-something-v2-{kind}.json").write_text(json.dumps(content))
    return root


def cvat_export(tasks: dict[str, list[tuple[int, str]]], *, more: str = "", project: bool = True) -> str:
    """CVAT for images 1.1: films by name, with tags by frame; each film is a task of a project."""
    described = "".join(
        f"<task><id>{n}</id><name>task {n}</name><size>8</size><mode>interpolation</mode>"
        f"<labels><label><name>walk</name><type>tag</type></label></labels><segments><segment><id>{n}</id>"
        f"<start>0</start></segment></segments><source>{name}</source></task>"
        for n, name in enumerate(tasks, start=7)
    )
    of_task = 'subset="default" task_id="{}"' if project else ""
    frames = "".join(
        f'<image id="{frame}" name="frame_{frame:06d}" {of_task.format(n)} width="64" height="48">'
        f'<tag label="{label}" source="manual"></tag></image>'
        for n, tags in enumerate(tasks.values(), start=7)
        for frame, label in tags
    )
    if project:
        described = f"<project><id>3</id><name>clips</name><tasks>{described}</tasks></project>"
    return (
        f'<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version><meta>{described}'
        f"<dumped>2026-11-26</dumped></meta>{frames}{more}</annotations>\n"
    )
