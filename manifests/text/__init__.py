"""Tables about text: classes of code points, and the states of a JSON scan."""
