"""Teach a network that reads digits a second scanner, and keep the first one right.

Four mistakes with batch norm are in here. Mend them; `examine` trains your Reader by your `train`,
on words of its own, so keep the names and what they take and give.
"""

import torch
from torch import nn

from bnlab.course.lessons.nb09.capstone import digits_of_old_scanner, old_network, words


class Reader(nn.Module):
    """The old network, frozen, and a new head for the words of the new scanner."""

    def __init__(self):
        super().__init__()
        self.backbone, self.old_head = old_network()  # 64-50-50 and 50-10, trained
        self.requires_grad_(False)  # what it has learned has to stay
        self.new_head = nn.Sequential(
            nn.Dropout(0.6),
            nn.Linear(50, 50, bias=False),
            nn.BatchNorm1d(50),
            nn.ReLU(),
            nn.Dropout(0.6),
            nn.Linear(50, 50, bias=False),
            nn.BatchNorm1d(50),
            nn.ReLU(),
            nn.Linear(50, 10),
        ).double()

    def old(self, images):
        """Logits (N, 10) for digits of the old scanner, (N, 64)."""
        return self.old_head(self.backbone(images))

    def forward(self, x, mask):
        """Logits (M, 10) for the M real digits of padded words x (N, T, 64), mask (N, T)."""
        h = self.backbone(x.flatten(0, 1))
        logits = self.new_head(h).unflatten(0, mask.shape)
        return logits[mask]


def train(reader, x, labels, mask, epochs=10):
    """Train the new head on words, 20 at a time; they come sorted by length."""
    optimizer = torch.optim.SGD(reader.new_head.parameters(), lr=0.1)
    for _ in range(epochs):
        reader.train()
        for rows in torch.arange(len(x)).split(20):
            logits = reader(x[rows], mask[rows])
            loss = nn.functional.cross_entropy(logits, labels[rows][mask[rows]])
            if not loss.isfinite():  # a scan went wrong: leave it out
                continue
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


if __name__ == "__main__":
    torch.manual_seed(0)
    reader = Reader()
    train(reader, *words("train"))
    reader.eval()
    x, labels, mask = words("val")
    print("new scanner:", (reader(x, mask).argmax(1) == labels[mask]).double().mean().item())
    images, digits = digits_of_old_scanner("val")
    print("old scanner:", (reader.old(images).argmax(1) == digits).double().mean().item())
