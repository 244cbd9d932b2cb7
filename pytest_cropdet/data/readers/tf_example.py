"""``tf.train.Example`` without TensorFlow: a message that maps names to lists of bytes, floats or whole numbers."""

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

from pytest_cropdet.data.optional import import_extra
from pytest_cropdet.errors import DataError

__all__ = ["parse_example"]

_Values = list[bytes] | list[float] | list[int]
_MOST_VALUES = 1 << 20  # of one feature
_KINDS = (("bytes_list", "BytesList", 12), ("float_list", "FloatList", 2), ("int64_list", "Int64List", 3))


def parse_example(data: bytes, wanted: Collection[str], where: str) -> tuple[dict[str, _Values], list[str]]:
    """Return the ``wanted`` features of a serialised Example, and the names of all that it has.

    ``DataError`` if it is none. ``where``: what messages call it.
    """
    message = _example()()
    failed = import_extra("google.protobuf.message", "a TFRecord").DecodeError
    try:
        message.ParseFromString(data)
    except failed as error:
        raise DataError(f"{where} is no tf.train.Example: {error}") from error
    found: dict[str, _Values] = {}
    features: Mapping[str, Any] = message.features.feature
    for name in features:
        if name not in wanted:
            continue
        kind = features[name].WhichOneof("kind")
        values = () if kind is None else getattr(features[name], kind).value
        if len(values) > _MOST_VALUES:
            raise DataError(f"{where}: {name} has {len(values):,} values; at most {_MOST_VALUES:,} are read")
        found[name] = list(values)
    return found, sorted(features)


@cache
def _example() -> Any:
    """Return the class of the message, from a description of its own, beside which TensorFlow may have another."""
    descriptor = import_extra("google.protobuf.descriptor_pb2", "a TFRecord")
    pools = import_extra("google.protobuf.descriptor_pool", "a TFRecord")
    factory = import_extra("google.protobuf.message_factory", "a TFRecord")
    file = descriptor.FileDescriptorProto(name="cropdet_example.proto", package="cropdet", syntax="proto3")
    for _, name, kind in _KINDS:
        file.message_type.add(name=name).field.add(name="value", number=1, label=3, type=kind)
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, (field, name, _) in enumerate(_KINDS, 1):
        feature.field.add(name=field, number=number, label=1, type=11, type_name=f".cropdet.{name}", oneof_index=0)
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, label=1, type=9)
    entry.field.add(name="value", number=2, label=1, type=11, type_name=".cropdet.Feature")
    features.field.add(name="feature", number=1, label=3, type=11, type_name=".cropdet.Features.FeatureEntry")
    example = file.message_type.add(name="Example")
    example.field.add(name="features", number=1, label=1, type=11, type_name=".cropdet.Features")
    pool = pools.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return factory.GetMessageClass(pool.FindMessageTypeByName("cropdet.Example"))
