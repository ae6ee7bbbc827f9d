"""What runs inside the sandbox: the only place that opens models and imports their libraries.

examining    loads a model, reads its signature, predicts once, converts it and measures the difference
converting   the same for libraries that are not ours, in an environment that has them
profiling    loads the file that will be served, in a fresh process, and measures it
reporting    how both tell the outside what happened: one JSON object a line
models       what every loaded model can do, whatever its library: say its signature, predict
estimators   scikit-learn         graphs   ONNX         boosters   XGBoost and LightGBM
torch_models, keras_models, tensorflow_models      hdf5_files   what else a Keras file could hold
columns      which inputs a scikit-learn model takes        samples   inputs made up for it
conversion   to ONNX              parity   how far two models' answers are apart

Started as ``python -I worker/inspection/probes examining`` with the request as JSON on standard input.
"""
