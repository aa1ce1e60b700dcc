"""Write a generated list of passengers, whose outcomes depend on their sex, class, age and fare as on a sinking ship.

Use: python examples/passengers.py passengers.csv
"""

import csv
import datetime
import sys

import numpy as np

SEED, ROWS = 0, 900
SEXES, CLASSES, PORTS = ("female", "male"), ("first", "second", "third"), ("Cork", "Cherbourg", "Southampton")
FIRST = {
    "female": ("Ada", "Clara", "Edith", "Emma", "Florence", "Grace", "Ida", "Maud", "Rose", "Violet"),
    "male": ("Albert", "Arthur", "Edward", "Frank", "George", "Harry", "Jack", "Percy", "Thomas", "Walter"),
}
LAST = (
    "Ashby",
    "Baker",
    "Carter",
    "Doyle",
    "Fenn",
    "Gale",
    "Hardy",
    "Kelly",
    "Lowe",
    "Moran",
    "Nash",
    "Price",
    "Quinn",
)
SAVED_BY_CLASS = {"first": 1.1, "second": 0.2, "third": -0.7}  # in log odds
FARES = {"first": 80.0, "second": 20.0, "third": 9.0}  # medians


def passengers(seed: int = SEED) -> list[dict[str, object]]:
    """Draw the passengers, one dict for each."""
    rng = np.random.default_rng(seed)
    people = []
    for number in range(1, ROWS + 1):
        sex = SEXES[int(rng.random() < 0.64)]
        ticket = CLASSES[rng.choice(3, p=(0.24, 0.21, 0.55))]
        port = PORTS[rng.choice(3, p=(0.09, 0.19, 0.72))]
        age = float(np.clip(rng.normal({"first": 38, "second": 30, "third": 25}[ticket], 13), 1, 80))
        fare = FARES[ticket] * float(rng.lognormal(0.0, 0.45))
        booked = datetime.date(1912, 1, 1) + datetime.timedelta(int(rng.integers(100)))
        # women and children first, then those in the upper decks
        odds = SAVED_BY_CLASS[ticket] + 3.0 * (sex == "female") - 1.6 - 0.04 * (age - 29)
        odds += 0.3 * (port == "Cherbourg") + 0.4 * np.log(fare / FARES[ticket])
        saved = rng.random() < 1 / (1 + np.exp(-odds))
        people.append(
            {
                "Id": number,
                "Name": f"{LAST[rng.integers(len(LAST))]}, {FIRST[sex][rng.integers(10)]} {number}",
                "Sex": sex,
                "Class": ticket,
                "Age": "" if rng.random() < 0.2 else round(age),
                "Fare": round(fare, 2),
                "Port": "" if rng.random() < 0.004 else port,
                "Booked": booked.isoformat(),
                "Outcome": "survived" if saved else "died",
            }
        )
    return people


def main(path: str) -> None:
    people = passengers()
    with open(path, "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, people[0])
        table.writeheader()
        table.writerows(people)


if __name__ == "__main__":
    main(sys.argv[1])
