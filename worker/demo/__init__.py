"""The demonstration: a month of an invented application, billed by the real worker.

``cast`` says who takes part, ``premises`` and ``stage`` set the embedded parts up, ``scenes`` play
the story, ``witness`` looks at what came of it without the worker's help, ``verdict`` compares.
"""
