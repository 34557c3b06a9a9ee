"""A model in a folder in; its size, its speed and copies of it for others out.

``load`` opens a model with the head that it was saved with; ``parameters`` counts its weights, ``latency`` measures it,
``info`` puts both together; ``export`` writes a Hugging Face folder and opens it again to compare, ``onnx`` does the
same for ONNX and for int8.
"""
