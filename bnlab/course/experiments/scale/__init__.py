"""The ledger at scale: CIFAR-10, convolutions and torch, on one GPU in minutes.

`cifar` reads the images, `nets` builds the networks, `training` trains one, `campaign` trains many
of them, some at the same time, and keeps each as soon as it is there. Which runs a claim needs and
how they are judged stands with the claims, in `lessons/nb08/at_scale.py`.
"""
