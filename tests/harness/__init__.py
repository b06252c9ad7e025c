"""Private servers, data, and independent answers for the demo and the tests.

    process    one server process: privileges, pid file, orderly stop
    mariadb, postgres, emulator     the three servers
    loader     CSV directories into hospitals' databases
    sample     the project's own generated sample, with its planted dirt counted
    oracle     figures straight from CSV files, with decimal
    dump       the definition of "equal" states (rules section 1)
"""
