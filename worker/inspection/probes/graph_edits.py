"""Small edits of converted graphs: which outputs they have, and what those are called."""

from onnx import ModelProto, helper


def name_outputs(model: ModelProto, names: list[str]) -> ModelProto:
    """Keep the first outputs, under these names; the graph behind them stays as it is."""
    outputs = list(model.graph.output)[: len(names)]
    del model.graph.output[:]
    for value, name in zip(outputs, names, strict=True):
        if value.name != name:
            model.graph.node.append(helper.make_node("Identity", [value.name], [name]))
            value.name = name
        model.graph.output.append(value)
    return model
