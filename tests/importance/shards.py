"""TFRecord shards and tf.Example messages, written independently of the package's readers.

Messages are serialised by protobuf from the published schema; checksums are made byte by byte.
"""

import io
import struct

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from PIL import Image

Field = descriptor_pb2.FieldDescriptorProto


def crc32c_byte_by_byte(data: bytes) -> int:
    register = 0xFFFFFFFF
    for byte in data:
        register = register >> 8 ^ AFTER_BYTE[(register ^ byte) & 255]
    return register ^ 0xFFFFFFFF


def _after_byte(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    return byte


AFTER_BYTE = [_after_byte(byte) for byte in range(256)]


def masked(data: bytes) -> bytes:
    crc = crc32c_byte_by_byte(data)
    rotated = (crc >> 15 | crc << 17) & 0xFFFFFFFF
    return struct.pack("<I", (rotated + 0xA282EAD8) % 2**32)


def framed(record: bytes) -> bytes:
    length = struct.pack("<Q", len(record))
    return length + masked(length) + record + masked(record)


def _schema():
    """The message classes of tf.Example, from its published definition."""
    file = descriptor_pb2.FileDescriptorProto(name="example.proto", package="t", syntax="proto3")

    def message(name, fields, parent=file.message_type):
        described = parent.add(name=name)
        for number, (field, kind, label, type_name) in enumerate(fields, 1):
            described.field.add(
                name=field, number=number, type=kind, label=label, type_name=type_name
            )
        return described

    one, many = Field.LABEL_OPTIONAL, Field.LABEL_REPEATED
    message("BytesList", [("value", Field.TYPE_BYTES, many, None)])
    message("FloatList", [("value", Field.TYPE_FLOAT, many, None)])
    message("Int64List", [("value", Field.TYPE_INT64, many, None)])
    lists = [("bytes_list", "BytesList"), ("float_list", "FloatList"), ("int64_list", "Int64List")]
    feature = message("Feature", [(f, Field.TYPE_MESSAGE, one, f".t.{name}") for f, name in lists])
    feature.oneof_decl.add(name="kind")
    for field in feature.field:
        field.oneof_index = 0
    features = message(
        "Features", [("feature", Field.TYPE_MESSAGE, many, ".t.Features.FeatureEntry")]
    )
    entry = message(
        "FeatureEntry",
        [("key", Field.TYPE_STRING, one, None), ("value", Field.TYPE_MESSAGE, one, ".t.Feature")],
        features.nested_type,
    )
    entry.options.map_entry = True
    message("Example", [("features", Field.TYPE_MESSAGE, one, ".t.Features")])
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("t.Example"))


Example = _schema()


def example(**features) -> bytes:
    """A serialised tf.Example; each feature is a list of bytes, floats or integers."""
    message = Example()
    for name, values in features.items():
        feature = message.features.feature[name]
        kinds = {bytes: feature.bytes_list, float: feature.float_list, int: feature.int64_list}
        kinds[type(values[0])].value.extend(values)
    return message.SerializeToString()


def jpeg(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="JPEG", quality=95)
    return file.getvalue()


def photo(seed: int, side: int = 256) -> np.ndarray:
    """A smooth photo-like image, which JPEG keeps."""
    small = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC))


def heatmap(seed: int, side: int = 256) -> np.ndarray:
    """A map of one blob in 0 ... 255."""
    y, x = np.random.default_rng(seed).uniform(0.3, 0.7, 2) * side
    rows, columns = np.mgrid[:side, :side]
    blob = np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * (side / 8) ** 2))
    return np.rint(255 * blob).astype(np.uint8)


def jpeg_record(seed: int, label: int) -> bytes:
    image, clicks = jpeg(photo(seed)), jpeg(heatmap(seed))
    return example(image=[image], heatmap=[clicks], label=[label])


def raw_record(seed: int, label: int, *, side: int = 256, span: float = 255) -> bytes:
    image = photo(seed, side).astype("<f4") * np.float32(span / 255)
    clicks = heatmap(seed, side).astype("<f4")
    return example(
        image=[image.tobytes()], heatmap=[clicks.tobytes()], label=[label], click_count=[7]
    )


def write(path, records) -> None:
    path.write_bytes(b"".join(framed(record) for record in records))
