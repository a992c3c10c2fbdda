"""The dead letters as an operator meets them: counted, shown, replayed, kept in a file.

``letter``, ``subject``, ``selection`` and ``inventory`` are pure; ``browsing`` and ``mail`` speak
to SQS; ``forecast`` reads the ledger and what the handlers read, and writes nothing.
"""
