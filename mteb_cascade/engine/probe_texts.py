"""Passages with two questions each, in our own words: what a model's number formats are compared on."""

from __future__ import annotations

TEXTS = """\
Baleen whales take in large mouthfuls of water and press it out through plates of keratin, which hold back krill and
small fish. Toothed whales hunt one animal at a time, squid above all, and find it by sound.
? what do baleen whales eat
? how do toothed whales find squid

A lithium cell loses capacity faster when it is kept full and warm. For storage over months, charge it to about
half, keep it in a cool and dry place, and top it up twice a year.
? how to store lithium batteries for months
? battery capacity loss heat

The function returns a new list and leaves the old one as it was. Sorting in place saves memory but changes what
every other holder of the list sees; prefer it only for lists that nobody else holds.
? sort a list without changing it
? in place sorting memory

Sourdough rises by wild yeast and bacteria that live in a starter of flour and water. Fed daily it stays lively; in
the refrigerator a feeding a week is enough. A sour smell is normal, pink streaks are not.
? how often to feed a sourdough starter
? is a sour smell in a starter normal

Vitamin D is made in the skin under strong sunlight and stored in fat. In high latitudes the winter sun is too low
for it, and blood levels fall until spring unless food or tablets make up for the loss.
? why is vitamin d low in winter
? where does the body store vitamin d

An index speeds up reading and slows down writing, since every change of the table is made in the index too. A query
that filters by two columns is served best by one index over both, the more selective one first.
? does a database index slow down inserts
? composite index column order

The treaty was signed in spring and ratified by both parliaments before the end of that year. It fixed the border
along the river, opened the port to both sides, and left fishing rights to a later agreement.
? which border did the treaty fix
? fishing rights agreement

Glaciers move because ice deforms under its own weight and slides on a film of meltwater. In warm summers more water
reaches the bed, and the same glacier can flow twice as fast as in winter.
? why do glaciers move faster in summer
? what makes ice flow

To reset the router, hold the small button at the back for ten seconds until all lamps blink. Settings and passwords
return to those printed on the label; the configuration that you saved can be loaded again.
? reset router to factory settings
? router password after reset

Mice without the gene gained weight on an ordinary diet, while their food intake did not differ from that of
controls. Energy spent at rest was lower by a tenth, which explains most of the difference after a year.
? does the gene deletion increase food intake in mice
? resting energy expenditure knockout weight gain

A fixed rate protects the borrower when interest rises and costs more when it falls. Breaking the contract early is
possible against a fee, which depends on the years left and on the market's present rate.
? fee for repaying a fixed rate loan early
? is a fixed or a variable rate better

The bridge hangs from two main cables of twisted steel wire, spun in place over three summers. Its deck was
stiffened after the first storms had shown that it swayed more than its engineers had reckoned.
? why was the bridge deck stiffened
? how were the main cables made

Honey bees tell each other where flowers are by a dance: its angle gives the direction against the sun, its length
the distance. Followers find the place within a few metres, even when the wind has turned.
? how do bees communicate direction
? meaning of the length of the bee dance

Patients who walked for half an hour a day had fewer complaints after six months than those who rested. The trial
was small, and neither group could be kept from knowing what it did, so the effect may be smaller.
? does walking help against back pain
? limits of the walking trial

Raise an error as early as the mistake can be known, and say what was given, what was expected and what to do. An
error that is swallowed comes back later, far from its cause, and costs an afternoon.
? what should an error message say
? why not ignore exceptions

Basalt forms from lava that is poor in silica and runs freely; it covers most of the ocean floor. Granite cools
slowly at depth, so its crystals grow large enough to be seen with the naked eye.
? why does granite have large crystals
? which rock covers the ocean floor

Tenants must be told of a rent increase in writing three months ahead, with the reasons. Without reasons the notice
has no effect; a tenant who pays the higher rent once has not thereby agreed to it.
? notice period for a rent increase
? rent increase without reasons valid

Cut the tomatoes in half, salt them, and dry them in the oven at low heat for five hours with the door ajar. Covered
with oil in a clean jar they keep for a month in a cool place.
? how long do dried tomatoes keep
? drying tomatoes in the oven temperature

The comet returns every seventy-six years. Its tail always points away from the sun, since light and the solar wind
push dust and gas outwards, so on its way back the comet travels behind its own tail.
? why does a comet tail point away from the sun
? how often does the comet return

Noise of ships masks the calls of porpoises over several kilometres. Where shipping lanes were moved, animals came
back within two seasons, and calves were seen again in bays that had been empty for decades.
? effect of shipping noise on porpoises
? did animals return after lanes were moved

A lens with a wide aperture gathers more light and blurs the background. Stopped down, more of the scene is sharp,
but the shutter must stay open longer and a tripod may be needed.
? which aperture blurs the background
? why use a tripod with small aperture

The old town lies on a hill above the harbour and is closed to cars. Buses stop at the lower gate; from there it is
a quarter of an hour on foot, or two minutes by the lift beside the market hall.
? how to get to the old town from the bus stop
? can you drive into the old town

In the experiment two groups learned the same words, one by reading them again, one by testing themselves. A week
later those who had tested themselves remembered half as many words more, though they felt less sure.
? is self testing better than rereading
? memory for words after a week

The pump starts when the float rises and stops when the shaft is empty. If it runs without a break, the valve in the
pipe does not close and the water that was lifted flows back.
? why does the pump not stop
? what starts the sump pump
"""


def passages() -> list[tuple[str, str, str]]:
    """Each passage with its two questions.

    >>> passages()[1][1:]
    ('how to store lithium batteries for months', 'battery capacity loss heat')
    """
    found = []
    for block in TEXTS.strip().split("\n\n"):
        passage, first, second = block.split("\n? ")
        found.append((passage.replace("\n", " "), first, second))
    return found
