"""Renders made small enough to carry to a machine with a GPU: 16 kB a view in place of 90, a few files of a given size.

    python benchmarks/carry_renders.py pack data/renders -o carried [--views 12] [--size 320] [--points 11000] [--labelled 450] [--part-mb 59]
    python benchmarks/carry_renders.py unpack carried/part*.bin -o renders [--labelled-to labelled] [--jobs 16]

What is lost: pictures are smaller (`--size` px) and compressed once more, depth is in steps of 0.25 mm, of each subject so many views are kept, half of them
frontal, and so many points of the first subjects of a random order. The others get points of another subject: train the encoder alone on them
(`loss.occupancy=0`), everything on `--labelled-to`. The tenth release was trained on such renders.

A part is a row of subjects: two 32-bit lengths, a JSON header, then per view JPEG, mask as PNG, depth; then the points as npz.
"""

import argparse
import io
import json
import lzma
import os
import struct
from dataclasses import replace
from multiprocessing import Pool
from pathlib import Path

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.artifacts import atomic_folder, write_json
from ncpifu_cli.data.dataset import RenderedSubject, find_subjects, is_frontal, read_picture, read_view
from ncpifu_cli.data.samples import read_samples, save_samples
from ncpifu_cli.stages.render_subject import FORMAT, VERSION

STEP = 8  # of `data/depth.py`'s 0.03 mm
KINDS = ("rgb", "mask", "depth")


def code_depth(image: NDArray[np.uint16]) -> bytes:
    """(L S, S) uint16 -> the mask and what each pixel differs from a plane through its neighbours, compressed; gaps by their left neighbour."""
    size = image.shape[1]
    layers = image.reshape(-1, size, size).astype(np.int32)
    known = layers[0] > 0
    content = np.packbits(known).tobytes()
    gap = layers[2] > layers[3] if len(layers) == 4 else known
    for number, layer in enumerate(layers // STEP):
        values = np.where(known & (gap | (number < 2)), layer, 0)
        left = np.pad(values, ((0, 0), (1, 0)))[:, :-1]
        above = np.pad(values, ((1, 0), (0, 0)))[:-1]
        expected = left if number >= 2 else left + above - np.pad(values, ((1, 0), (1, 0)))[:-1, :-1]
        rest = (values - expected)[known].astype("<i2")
        content += (rest & 255).astype(np.uint8).tobytes() + (rest >> 8).astype(np.int8).tobytes()
    return struct.pack("<BH", len(layers), size) + lzma.compress(content, format=lzma.FORMAT_ALONE)


@numba.njit(cache=False)
def _undo(known: NDArray[np.bool_], rest: NDArray[np.int32], plane: bool) -> NDArray[np.int32]:
    values = np.zeros(known.shape, np.int32)
    for row in range(known.shape[0]):
        for column in range(known.shape[1]):
            if known[row, column]:
                expected = values[row, column - 1] if column else 0
                if plane and row:
                    expected += values[row - 1, column] - (values[row - 1, column - 1] if column else 0)
                values[row, column] = expected + rest[row, column]
    return values


def decode_depth(code: bytes) -> NDArray[np.uint16]:
    """Inverse of `code_depth`, to half a step."""
    count, size = struct.unpack("<BH", code[:3])
    content = np.frombuffer(lzma.decompress(code[3:], format=lzma.FORMAT_ALONE), np.uint8)
    masks = size * size // 8
    known = np.unpackbits(content[:masks]).reshape(size, size).astype(bool)
    low, high = content[masks:].reshape(count, 2, -1).swapaxes(0, 1)
    layers = []
    for number in range(count):
        rest = np.zeros((size, size), np.int32)
        rest[known] = low[number].astype(np.int32) + 256 * high[number].view(np.int8).astype(np.int32)
        layers.append(_undo(known, rest, number < 2))
    near = [layer * STEP + STEP // 2 for layer in layers]
    if count == 4:
        near[2:] = [np.where(layers[2] > 0, layer, (near[0] + near[1]) // 2) for layer in near[2:]]
    return np.concatenate([np.where(known, layer, 0) for layer in near]).astype(np.uint16)


def pack_subject(job: tuple[RenderedSubject, argparse.Namespace, int]) -> bytes:
    """One subject of a part; with points where its place in the order is below `labelled`."""
    subject, options, place = job
    rng = np.random.default_rng([options.seed, place])
    frontal, others = ([view for view in subject.views if is_frontal(view["yaw_deg"]) == wanted] for wanted in (True, False))
    few = min(options.views // 2, len(frontal))
    chosen = [frontal[i] for i in rng.permutation(len(frontal))[:few]] + [others[i] for i in rng.permutation(len(others))[: options.views - few]]
    body, views = b"", []
    for view in chosen:
        rgb, mask = read_view(subject.folder, view)
        person = mask.astype(np.float32)
        near = cv2.blur(rgb * person[..., None], (31, 31)) / np.maximum(cv2.blur(person, (31, 31)), 1e-3)[..., None]  # a smooth surround is cheap in a JPEG
        picture = cv2.resize(np.where(mask[..., None], rgb, near).clip(0, 255).astype(np.uint8), (options.size,) * 2, interpolation=cv2.INTER_AREA)
        outline = cv2.resize(person, (options.size,) * 2, interpolation=cv2.INTER_AREA) > 0.5
        parts = [
            cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 86])[1].tobytes(),
            cv2.imencode(".png", outline.astype(np.uint8) * 255, [cv2.IMWRITE_PNG_BILEVEL, 1])[1].tobytes(),
            code_depth(read_picture(subject.folder / view["depth"], cv2.IMREAD_UNCHANGED)) if "depth" in view else b"",
        ]
        views.append([view["yaw_deg"], view["pitch_deg"], *map(len, parts)])
        body += b"".join(parts)
    points = pack_points(subject.folder, options.points) if place < options.labelled else b""
    header = {"name": subject.name, "hash": subject.content, "size_px": options.size, "views": views, "points": len(points)}
    coded = json.dumps(header).encode()
    return struct.pack("<II", len(coded), len(body) + len(points)) + coded + body + points


def pack_points(folder: Path, count: int) -> bytes:
    """The first so many near points (they are in random order), a ninth as many uniform ones and as many of the surface, as `samples.npz`."""
    samples, few, file = read_samples(folder / "samples.npz"), count // 9, io.BytesIO()
    kept = {"near_q": count, "near_inside": count, "uniform_q": few, "uniform_inside": few, "surface_q": few, "surface_rgb": few}
    save_samples(file, replace(samples, **{name: getattr(samples, name)[:number] for name, number in kept.items()}))
    return file.getvalue()


def unpack_subject(job: tuple[Path, int, int, int, argparse.Namespace, Path]) -> int:
    """Write one subject's folder; returns the number of its views."""
    part, offset, header_size, body_size, options, other_points = job
    with open(part, "rb") as file:
        file.seek(offset)
        header, body = json.loads(file.read(header_size)), file.read(body_size)
    if Path(header["name"]).name != header["name"]:
        raise ValueError(f"{header['name']!r} is no subject's name")
    folder, views, at = options.output / header["name"], [], 0
    with atomic_folder(folder) as new:
        for kind in KINDS:
            (new / kind).mkdir()
        for number, (yaw, pitch, *sizes) in enumerate(header["views"]):
            view = {"yaw_deg": yaw, "pitch_deg": pitch}
            for kind, size in zip(KINDS, sizes, strict=True):
                content, at = body[at : at + size], at + size
                if not size:
                    continue
                view[kind] = f"{kind}/{number}.{'jpg' if kind == 'rgb' else 'png'}"
                (new / view[kind]).write_bytes(cv2.imencode(".png", decode_depth(content))[1].tobytes() if kind == "depth" else content)
            views.append(view)
        if header["points"]:
            (new / "samples.npz").write_bytes(body[at:])
        else:
            os.link(other_points, new / "samples.npz")
        write_json(new / "subject.json", {"format": FORMAT, "version": VERSION, **{k: header[k] for k in ("name", "hash", "size_px")}, "views": views})
    if header["points"] and options.labelled_to:
        options.labelled_to.mkdir(parents=True, exist_ok=True)
        link = options.labelled_to / folder.name
        link.unlink(missing_ok=True)
        link.symlink_to(folder.resolve())
    return len(views)


def pack(options: argparse.Namespace) -> None:
    subjects = find_subjects(options.paths[0])
    order = np.random.default_rng(options.seed).permutation(len(subjects))
    options.output.mkdir(parents=True, exist_ok=True)
    part = size = 0
    with Pool(options.jobs) as pool:
        for blob in pool.imap(pack_subject, [(subjects[i], options, place) for place, i in enumerate(order)], chunksize=2):
            if size and size + len(blob) > options.part_mb * 1e6:
                part, size = part + 1, 0
            with open(options.output / f"part{part}.bin", "ab" if size else "wb") as file:
                file.write(blob)
            size += len(blob)
    print(f"{len(subjects)} subjects in {part + 1} parts")


def unpack(options: argparse.Namespace) -> None:
    options.output.mkdir(parents=True, exist_ok=True)
    other_points, jobs = options.output / ".points.npz", []
    for part in options.paths:
        with open(part, "rb") as file:
            while lengths := file.read(8):
                header_size, body_size = struct.unpack("<II", lengths)
                begin = file.tell()
                header = json.loads(file.read(header_size))
                end = file.seek(body_size, os.SEEK_CUR)
                if header["points"] and not other_points.exists():
                    file.seek(end - header["points"])
                    other_points.write_bytes(file.read(header["points"]))
                jobs.append((part, begin, header_size, body_size, options, other_points))
    _undo(np.ones((1, 1), bool), np.zeros((1, 1), np.int32), True)  # compiled once, before processes are forked
    with Pool(options.jobs) as pool:
        print(f"{len(jobs)} subjects, {sum(pool.imap_unordered(unpack_subject, jobs, chunksize=4))} views")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("verb", choices=("pack", "unpack"))
    parser.add_argument("paths", nargs="+", type=Path, help="the folder of renders, or the parts")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--views", type=int, default=12)
    parser.add_argument("--size", type=int, default=320, help="px")
    parser.add_argument("--points", type=int, default=11_000)
    parser.add_argument("--labelled", type=int, default=450, help="subjects with points; at least 1")
    parser.add_argument("--part-mb", type=float, default=59)
    parser.add_argument("--labelled-to", type=Path, help="folder of links to the subjects with points")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    (pack if options.verb == "pack" else unpack)(options)


if __name__ == "__main__":
    main()
