"""Writes the models below ``keras/`` and ``tensorflow/`` with the real libraries.

Run it in an environment of its own: ``pip install tensorflow-cpu``, then ``python make_tensorflow.py [folder]``. The
tests need neither: they read what was written.
"""

import sys
import tempfile
import zipfile
from pathlib import Path

import keras
import tensorflow as tf


class Plain(tf.Module):
    def __init__(self) -> None:
        self.weights = tf.Variable(tf.reshape(tf.range(12.0), (4, 3)) / 8)

    @tf.function(input_signature=[tf.TensorSpec((None, 4), tf.float32, name="x")])
    def serve(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": tf.nn.softmax(tf.matmul(x, self.weights))}


class Reader(tf.Module):
    """Would read any file whose name it is asked with."""

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="x")])
    def serve(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": tf.io.read_file(x[0])}


def save_keras(folder: Path) -> None:
    keras.utils.set_random_seed(1)
    layers = keras.layers
    dense = [layers.Dense(8, activation="relu"), layers.BatchNormalization(), layers.Dense(3, activation="softmax")]
    model = keras.Sequential([keras.Input((4,), name="x"), *dense])
    model.save(folder / "model.keras")
    model.save(folder / "model.h5")
    image, extra = keras.Input((8, 8, 3), name="image"), keras.Input((2,), name="extra")
    pooled = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, activation="relu")(image))
    keras.Model([image, extra], layers.Dense(2)(layers.Concatenate()([pooled, extra]))).save(
        folder / "functional.keras"
    )


def save_tensorflow(folder: Path) -> None:
    for module in (Plain(), Reader()):
        name = type(module).__name__.lower()
        with tempfile.TemporaryDirectory() as place:
            tf.saved_model.save(module, place, signatures=module.serve)
            pack(Path(place), name, folder / f"{name}.zip")


def pack(folder: Path, name: str, target: Path) -> None:
    with zipfile.ZipFile(target, "w") as archive:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(f"{name}/{file.relative_to(folder)}", (2026, 1, 1, 0, 0, 0))
            archive.writestr(entry, file.read_bytes(), zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    save_keras(root / "keras")
    save_tensorflow(root / "tensorflow")
