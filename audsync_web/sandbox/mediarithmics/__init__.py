"""mediarithmics as a local server: strict about the rules of its spec's section 12.

The API is served below `/mediarithmics/v1`; of the files behind URIs only error files are kept.
Fault switches, each `mediarithmics.<name>`; a value like `2x` counts down:

    delay                  seconds before every answer
    expired_token          401 for every call
    accept_bearer          `Bearer <token>` is taken as well
    401 403 409 413 429 500 503   every call is refused so; 429 and 503 carry Retry-After
    retry_after            seconds in that header (2); `none` leaves it out
    drop_before drop_after the connection breaks before, or after, the work was done
    answer_500             500 although the work was done
    html                   502 with a page instead of JSON
    ok_error no_data       200 with `status: error`, or without `data`, after the work was done
    <call>.<any of these>  the same for one call only, `m1` to `m12` as the spec numbers them
    <call>.slow            seconds before that call's answer
    extra_fields           every object has a field nobody knows
    no_total               lists leave out `total`
    oldest_first           executions are listed oldest first
    hide_executions        the list of executions is empty
    execution_by_id        one execution can be read by its id
    import_gone            imports are unknown, 404
    mismatch_415           415 instead of 400 where media type and import disagree
    accept_multipart       executions are taken as the console posts them: a form with the part `file`
    bad_file_fails_job     a file that is no NDJSON becomes a FAILED job instead of a 400
    lax_fields             unknown fields in a command are ignored
    all_bad_fails          a file without a good line ends FAILED
    delete_absent_fails    DELETE of somebody who is not in the segment is a failed line
    shuffle                commands of a file are applied in no order
    queue_seconds run_seconds     how long a job waits (2) and runs (3)
    apply_delay            seconds from a job's end until its members are seen
    hold                   `queued` or `running`: jobs stay there
    waiting scheduled      a job begins as WAITING_DEPENDENT_JOB, SCHEDULED
    not_responding unknown_word   in mid-run it shows EXECUTOR_NOT_RESPONDING, or a word nobody knows
    success failed lost canceled  it ends as SUCCESS, FAILED, LOST, CANCELED
    half_done              the share of its lines that a job works before it ends as FAILED or LOST (0)
    partial all_fail       `partial_lines` (1) of its good lines, or all of them, are counted as failed
    tasks                  `null` or `text`: the form of the task counters
"""

from .vendor import MediarithmicsSandbox
from .world import DEMO_CREDENTIALS, DEMO_SETTINGS, OTHER_TOKEN

__all__ = ["DEMO_CREDENTIALS", "DEMO_SETTINGS", "OTHER_TOKEN", "MediarithmicsSandbox"]
