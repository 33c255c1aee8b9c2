"""Names what a camera sees: frames as they come, through a network that was compiled for them.

    python examples/webcam.py MODEL SOURCE [--mean M,…] [--std S,…] [--scale F] [--labels FILE] [--frames N]

MODEL is an ONNX file or a model script with one input of pictures. SOURCE is the number of a camera or a video file,
for which OpenCV has to be installed, or a folder of pictures, for which Pillow will do. Each frame gets a line with its
label and the time of the call; where there is a display and OpenCV has windows, it is shown with them (q ends).
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import cnncc

Frames = Iterator[tuple[str, Any]]
"""A name of each frame, and its bytes: (H, W, B G R), or (H, W) for a network that reads grey."""


def of_folder(folder: Path, grey: bool) -> Frames:
    """The pictures of a folder, in the order of their names."""
    try:
        from PIL import Image
    except ImportError:
        raise SystemExit("webcam: a folder of pictures needs Pillow: pip install 'cnncc[images]'") from None
    for file in sorted(file for file in folder.iterdir() if file.suffix.lower() in (".png", ".jpg", ".jpeg", ".bmp")):
        with Image.open(file) as picture:
            pixels = np.asarray(picture.convert("L" if grey else "RGB"))
        yield file.name, pixels if grey else pixels[..., ::-1]


def of_camera(source: str, grey: bool) -> Frames:
    """The frames of a camera, by its number, or of a video file."""
    try:
        import cv2
    except ImportError:
        raise SystemExit(
            f"webcam: '{source}' is no folder of pictures, and cameras and videos need OpenCV: "
            "pip install opencv-python"
        ) from None
    capture = cv2.VideoCapture(int(source) if source.isdecimal() else source)
    if not capture.isOpened():
        raise SystemExit(f"webcam: OpenCV opens no camera or video '{source}'")
    try:
        number = 0
        while (read := capture.read())[0]:
            yield f"frame {number}", cv2.cvtColor(read[1], cv2.COLOR_BGR2GRAY) if grey else read[1]
            number += 1
    finally:
        capture.release()


class Window:
    """What shows frames with a line of text, where there is a display."""

    def __init__(self) -> None:
        self.cv2: Any = None
        if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
            try:
                import cv2

                cv2.namedWindow("cnncc")
                self.cv2 = cv2
            except Exception:  # no OpenCV, one without windows (cv2.error), or a display that takes none
                pass

    def show(self, frame: Any, text: str) -> bool:
        """Whether to go on."""
        if self.cv2 is None:
            return True
        drawn = np.ascontiguousarray(frame)
        self.cv2.putText(drawn, text, (8, 24), self.cv2.FONT_HERSHEY_SIMPLEX, 0.7, 255, 2)
        self.cv2.imshow("cnncc", drawn)
        return int(self.cv2.waitKey(1)) & 0xFF != ord("q")


def numbers(text: str) -> tuple[float, ...]:
    return tuple(map(float, text.split(",")))


def compiled(arguments: argparse.Namespace) -> tuple[Any, bool, tuple[str, ...]]:
    """The model for frames of any size, whether it reads grey, and its labels."""
    graph = cnncc.load_graph(arguments.model)
    name, port = next(iter(graph.inputs.items()))
    grey = 1 in (port.shape[1], port.shape[-1])
    image = cnncc.Image(
        order="GRAY" if grey else "BGR",
        layout="HW" if grey else "HWC",
        resize="stretch",
        scale=arguments.scale,
        mean=arguments.mean,
        std=arguments.std,
    )
    labels = tuple(arguments.labels.read_text().splitlines()) if arguments.labels else graph.labels
    return cnncc.compile(graph, inputs={name: image}), grey, labels


def told(result: Any, labels: tuple[str, ...]) -> str:
    """The best class of a result, and its score."""
    scores = np.ravel(result[0] if isinstance(result, tuple) else result)
    best = int(scores.argmax())
    return f"{labels[best] if best < len(labels) else f'class {best}'} ({scores[best]:.4g})"


def watch(arguments: argparse.Namespace) -> None:
    model, grey, labels = compiled(arguments)
    folder = Path(arguments.source)
    frames = of_folder(folder, grey) if folder.is_dir() else of_camera(arguments.source, grey)
    window, known = Window(), set()
    for number, (name, frame) in enumerate(frames):
        if number == arguments.frames:
            break
        if frame.shape not in known:  # of each size the first call compiles
            known.add(frame.shape)
            model.at((1, *frame.shape))
        frame = np.ascontiguousarray(frame)
        begin = time.perf_counter()
        result = model(frame)
        line = f"{told(result, labels)}, {1000 * (time.perf_counter() - begin):.2f} ms"
        print(f"{name}: {line}", flush=True)
        if not window.show(frame, line):
            break


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("source")
    parser.add_argument("--mean", type=numbers, default=0.0)
    parser.add_argument("--std", type=numbers, default=1.0)
    parser.add_argument("--scale", type=float)
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--frames", type=int, default=-1)
    try:
        watch(parser.parse_args())
    except (cnncc.CnnccError, OSError) as error:
        raise SystemExit(f"webcam: {error}") from None
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
