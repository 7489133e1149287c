"""The file engine: a membership file becomes vendors' parts, as streams, without ever being held in memory.

One way from end to end, each step a module:

    gunzip → scanning → checking        the verdict, with the last byte of the upload
             scanning → members         the sorted, exactly de-duplicated set (sorting spills to disk)
    members → difference                against a destination's acknowledged snapshot: a change file
    change file → parts                 planned to the byte, written block by block, re-made identically
    change file → applying              the next snapshot: exactly what the vendor acknowledged

`lines` is the form in which blocks of identifiers travel, `blocks` the file that holds them. The package is a library:
no Django, no settings, no database. Every file it writes is published by one rename and private to the service.
"""
