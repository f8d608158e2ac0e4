"""What the suite demands of a method, data set, noise model or network, as checks in words.

`runners/check_component.py` runs them on a plug-in, the tests on those of the suite. A check is a
function that gives None, or a sentence on what is wrong.
"""
