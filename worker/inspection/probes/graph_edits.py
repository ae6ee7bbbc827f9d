"""Small edits of converted graphs: names of inputs and outputs, and what onnxruntime needs to run them."""

from collections.abc import Sequence

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from worker.inspection.probes.samples import round_down

LOCALE = "C.UTF-8"  # present wherever there is a C library; converters write en_US, which servers rarely have


def name_inputs(model: ModelProto, names: Sequence[str]) -> None:
    """Call the inputs so, in their order."""
    new = dict(zip((value.name for value in model.graph.input), names, strict=True))
    _make_room(model.graph.node, set(names) - set(new))
    for value in model.graph.input:
        value.name = new[value.name]
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = new.get(name, name)


def name_outputs(model: ModelProto, names: Sequence[str]) -> ModelProto:
    """Keep the first outputs, under these names; the graph behind them stays as it is."""
    outputs = list(model.graph.output)[: len(names)]
    del model.graph.output[:]
    _make_room(model.graph.node, set(names) - {value.name for value in outputs})
    for value, name in zip(outputs, names, strict=True):
        if value.name != name:
            model.graph.node.append(helper.make_node("Identity", [value.name], [name]))
            value.name = name
        if value.type.tensor_type.shape.dim:  # one converter writes that there is exactly one row
            value.type.tensor_type.shape.dim[0].dim_param = "rows"
        model.graph.output.append(value)
    return model


def _make_room(nodes: Sequence[NodeProto], names: set[str]) -> None:
    """Rename values inside the graph that are called as an output will be."""
    for node in nodes:
        for values in (node.input, node.output):
            for index, value in enumerate(values):
                if value in names:
                    values[index] = f"inner_{value}"


def set_locale(model: ModelProto) -> ModelProto:
    for node in model.graph.node:
        if node.op_type == "StringNormalizer":
            kept = [attribute for attribute in node.attribute if attribute.name != "locale"]
            del node.attribute[:]
            node.attribute.extend([*kept, helper.make_attribute("locale", LOCALE)])
    return model


def take_floats(model: ModelProto, names: Sequence[str]) -> ModelProto:
    """Let these inputs come as FP32 where the graph calculates with FP64 from the start."""
    casts = []
    for value in model.graph.input:
        if value.name in names and value.type.tensor_type.elem_type == TensorProto.DOUBLE:
            _make_room(model.graph.node, {value.name})
            value.type.tensor_type.elem_type = TensorProto.FLOAT
            casts.append(helper.make_node("Cast", [value.name], [f"inner_{value.name}"], to=TensorProto.DOUBLE))
    _replace_nodes(model, [*casts, *model.graph.node])
    return model


def fill_in_doubles(model: ModelProto, fills: Sequence[np.ndarray]) -> ModelProto:
    """Let imputers of numbers work with FP64, which onnxruntime's own cannot, and with what was learnt in full.

    ``fills`` holds what each imputer of the model puts in; the node only has it in FP32, and is known by it.
    """
    nodes: list[NodeProto] = []
    for node in model.graph.node:
        found = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        if node.op_type != "Imputer" or "imputed_value_floats" not in found:
            nodes.append(node)
            continue
        short = np.array(found["imputed_value_floats"], dtype=np.float32)
        fill = next((f for f in fills if np.array_equal(f.astype(np.float32), short, equal_nan=True)), short)
        missing = float(found.get("replaced_value_float", 0.0))
        nodes += _fill(node, np.asarray(fill, dtype=np.float64), missing, f"fill{len(nodes)}")
    _replace_nodes(model, nodes)
    return model


def _fill(node: NodeProto, fill: np.ndarray, missing: float, name: str) -> list[NodeProto]:
    """``where(x is missing, fill, x)`` in FP64."""

    def constant(value: np.ndarray, to: str) -> NodeProto:
        return helper.make_node("Constant", [], [to], value=numpy_helper.from_array(value))

    wide, value, is_missing, marker = (f"{name}_{part}" for part in ("wide", "value", "is_missing", "marker"))
    find = (
        [helper.make_node("IsNaN", [wide], [is_missing])]
        if np.isnan(missing)
        else [constant(np.array([missing]), marker), helper.make_node("Equal", [wide, marker], [is_missing])]
    )
    return [
        helper.make_node("Cast", [node.input[0]], [wide], to=TensorProto.DOUBLE),
        constant(fill, value),
        *find,
        helper.make_node("Where", [is_missing, value, wide], [node.output[0]]),
    ]


def compare_in_floats(model: ModelProto) -> ModelProto:
    """Let trees compare FP32 as scikit-learn's do, inside a graph that otherwise calculates with FP64.

    ``float32(x) <= t`` exactly if ``float32(x) <= floor32(t)``.
    """
    nodes: list[NodeProto] = []
    for node in model.graph.node:
        if node.op_type.startswith("TreeEnsemble"):
            rounded = f"float_{len(nodes)}_{node.input[0]}"
            nodes.append(helper.make_node("Cast", [node.input[0]], [rounded], to=TensorProto.FLOAT))
            node.input[0] = rounded
            _shorten(node)
        nodes.append(node)
    _replace_nodes(model, nodes)
    return model


def _shorten(node: NodeProto) -> None:
    attributes = list(node.attribute)
    del node.attribute[:]
    for attribute in attributes:
        name = attribute.name.removesuffix("_as_tensor")
        if name == attribute.name:
            node.attribute.append(attribute)
            continue
        values = numpy_helper.to_array(attribute.t)
        short = round_down(values) if name == "nodes_values" else values.astype(np.float32)
        node.attribute.append(helper.make_attribute(name, short.tolist()))


def _replace_nodes(model: ModelProto, nodes: Sequence[NodeProto]) -> None:
    kept = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(kept)
