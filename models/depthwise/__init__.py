"""Depthwise 3D convolution on a GPU at the speed of its memory."""
