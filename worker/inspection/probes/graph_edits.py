"""Small edits of converted graphs: names of inputs and outputs, and what onnxruntime needs to run them."""

from collections.abc import Sequence

from onnx import ModelProto, NodeProto, helper

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
