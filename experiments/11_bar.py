"""The ResNet without `block1`, a third of its residual blocks: within a point of the control? Three seeds.

    python experiments/11_bar.py     (six minutes of computing)

11_block.py repairs with 2,000 images and finds the rates. Here, at those rates, the network without the block
gets four epochs on 27,500 images with the whole network as teacher (T = 1, no labels), and the control, which
isn't cut, four epochs on the same images with their labels.
"""

import torch
from common import by_seed, file_size, read, write
from towers import figures
from tqdm.auto import tqdm

import mcomp.data
from mcomp import distill, structure, zoo
from mcomp.train import fit, predict

IMAGES, EPOCHS, SEEDS = 27_500, 4, (0, 1, 2)


def main():
    torch.set_num_threads(1)
    data, found = mcomp.data.load("fashion-mnist", subset=IMAGES), []
    rates = read("11_block_resnet")["tuned"]["chosen"]
    options = {"epochs": EPOCHS, "batch_size": 128, "weight_decay": 0.01, "progress": False}
    for seed in tqdm(SEEDS, unit="seed"):
        control = zoo.load("resnet", seed)
        cut = structure.drop(control, ["block1"], x=data.test[0][:2])
        taught = distill.teaching(predict(control, data.train[0]), data)
        fit(cut, data, lr=rates["cut, teacher"], loss=taught, seed=3000 + seed, **options)
        fit(control, data, lr=rates["control"], seed=3000 + seed, **options)
        made = {"control": control, "cut, teacher": cut}
        found.append({arm: figures(model, data, file_size(model)) for arm, model in made.items()})
        print(seed, {arm: row["accuracy"] for arm, row in found[-1].items()}, flush=True)
    write(
        __file__, question="A third of the ResNet's blocks gone: within a point of the control?",
        network="resnet", methods=by_seed(found), seeds=SEEDS, rates=rates, images=IMAGES, epochs=EPOCHS,
    )  # fmt: skip


if __name__ == "__main__":
    main()
