"""A folder of rendered subjects made from the drawn person, as the tests of composites and of matting need it."""

from pathlib import Path

import cv2
import numpy as np

from ncpifu_cli.artifacts import write_json
from tests.photo_fixtures import draw_person


def save_subjects(folder: Path, names: tuple[str, ...] = ("train-000001", "train-000002", "test-000001")) -> Path:
    """Render layout with two views (the second mirrored) of each subject, 256 px, in slightly different colours."""
    rgb, mask = draw_person(256, 256)
    for index, name in enumerate(names):
        views = []
        for view, step in (("000", 1), ("180", -1)):
            tinted = np.roll(rgb, index, axis=2)[:, ::step]
            for kind, suffix, picture in (("rgb", "jpg", tinted), ("mask", "png", mask[:, ::step].astype(np.uint8) * 255)):
                (folder / name / kind).mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(folder / name / kind / f"{view}.{suffix}"), picture)
            views.append({"yaw_deg": float(view), "rgb": f"rgb/{view}.jpg", "mask": f"mask/{view}.png"})
        write_json(folder / name / "subject.json", {"format": "ncpifu-subject", "version": 1, "name": name, "size_px": 256, "views": views})
    return folder
