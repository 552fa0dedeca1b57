"""The problems that `diagnose` knows, the worst first, each with what it means and what to do."""

__all__ = ["ADVICE"]

ADVICE = {
    # What was looked at.
    "no batch norm layer seen in a scripted module": "its layers are compiled, and their settings "
    "cannot be read. Diagnose the model before torch.jit.script or torch.jit.trace.",
    "no batch norm layer seen in an exported program": "it holds operations, no layers. Diagnose "
    "the model before torch.export.",
    "no batch norm layer seen in a quantized model": "batch norms, where there were "
    "any, are folded into the layers below. Diagnose the model before it is converted.",
    "no batch norm layer seen": "no torch.nn.BatchNorm, nothing that keeps a running_mean and a "
    "running_var, and no call of torch.nn.functional.batch_norm. If there is one made of other "
    "operations, nothing is said about it.",
    # Evaluation or training gives nonsense.
    "non-finite statistics": "a running mean or variance is nan or inf, and stays so. Look for "
    "the batch that did it, then call reset_running_stats() and pass clean batches through.",
    "negative variance": "a running variance is below 0, which no variance can be: evaluation "
    "gives nan where it is below -eps. Look for what wrote it (half precision, averaged or noisy "
    "checkpoints), then call reset_running_stats() and pass training batches through.",
    "batch of one": "this input gives one value per channel, whose variance is 0: training on it "
    "fails. Use larger batches (drop_last=True for the last one) or group norm.",
    "eps of 0": "a constant channel gives 0 / 0, and newer versions of torch refuse to train. Use "
    "the eps the model was trained with, or 1e-5.",
    # Evaluation does something else than training.
    "untouched statistics": "the running statistics are still 0 and 1: no batch has reached them, "
    "so evaluation does not normalize. Train first, or load them with the weights. In an averaged "
    "copy (EMA, SWA, target network) copy the buffers too, or call "
    "torch.optim.swa_utils.update_bn.",
    "few batches": "more than half of the running statistics is still the 0 and 1 they began "
    "with: too few batches for this momentum. Pass more training batches through, for example "
    "with torch.optim.swa_utils.update_bn.",
    "stale statistics": "mean or variance of this input are far from the running ones: by more "
    "than 3 standard deviations, or more than 10 times, in half of the channels. If the input is "
    "like the training data, the statistics are older than the weights: call "
    "torch.optim.swa_utils.update_bn.",
    "momentum": "in torch, momentum multiplies the new value. A value above 0.5 looks like the "
    "convention of Keras or Flax: use 1 - momentum.",
    "momentum of 1 or more": "in torch, momentum multiplies the new value: at 1 the statistics are "
    "those of the last batch alone, above 1 they swing more and more. The default is 0.1.",
    "momentum of 0": "the running statistics never move away from where they are. If they are to "
    "stay, call eval() on this layer instead.",
    "half-precision statistics": "the running statistics are stored in 16 bits, and small updates "
    "are rounded away, the sooner the smaller the momentum. Call float() on the batch norms, and "
    "train with torch.autocast.",
    "no running statistics": "track_running_stats=False: evaluation normalizes by the batch it is "
    "given, so examples change each other's answers. Use True.",
    "tracking switched off": "track_running_stats was set to False after the layer was made: "
    "training moves the running statistics no longer, but evaluation still uses them. Set it to "
    "True; or, to evaluate by the batch, set running_mean and running_var to None.",
    "mixed modes": "some batch norms are in training mode and others in evaluation mode, or not "
    "in that of the model. Call model.train() or model.eval() on the whole. If it is meant: put "
    "all batch norms in evaluation mode, or freeze the weights of those that are.",
    "frozen but updating": "weight and bias are frozen, but in training mode each forward pass "
    "moves the running statistics. If this is meant (a teacher, a key encoder, a discriminator in "
    "the generator's step, statistics measured again), fine. If not: call eval() on this layer, "
    "after every model.train().",
    "after dropout": "dropout comes before batch norm. It changes the variance in training and "
    "not in evaluation, so the running variance fits no longer: put dropout behind the last norm.",
    "shared": "one layer is called in several places, so its running statistics mix the inputs of "
    "all of them. If these are of different kinds, use one layer for each place.",
    "shared buffers": "these layers keep their running statistics in the same memory, so each "
    "overwrites those of the other. Give each its own: norm.running_mean = "
    "norm.running_mean.clone(), and so for running_var.",
    "instance norm that tracks": "track_running_stats=True: training normalizes each example by "
    "itself, evaluation all by the same running statistics. Set it to False, and evaluation does "
    "what training did.",
    # It may be meant, or costs little.
    "on the logits": "batch norm stands right before the softmax or the loss: it fixes "
    " the spread of every logit over the batch, whatever the network knows. Let the network "
    "end in a linear layer.",
    "another axis": "batch norm works on axis 1, and the features of the linear layer below are "
    "on the last: it normalizes something else than these features. If this is meant, fine. If "
    "not: bring the features to axis 1, x.transpose(1, -1), and back.",
    "constant channel": "the running variance of a channel is 0, up to rounding: it has been "
    "constant in training, and evaluation multiplies any deviation by 1 / sqrt(eps). Find out why "
    "(a dead ReLU, an empty input). If the weight of this channel is 0 too, it does no harm.",
    "redundant bias": "the layer right below batch norm has a bias. The mean is subtracted, and "
    "the bias with it: write bias=False. In a trained model, first subtract it from the mean, "
    "norm.running_mean -= layer.bias, or evaluation changes.",
}
