"""Django signals for the site's code. A receiver gets what is committed already, as objects of the protocol.

    message_posted  message: Message                 a message of a user, of the site's code, or a note
    run_started     run: Run, message: Message       an answer begins; `message` is still empty
    run_finished    run: UUID, message: Message or None, status, usage, error
                                                     an answer has ended, however: see `status`
    tool_called     run: UUID, call: Call            a tool has been called; `call` has its arguments and its result
    feedback_given  message: Message, feedback: Feedback, user: Person
                                                     a reader has rated an answer

`sender` is None. The receivers of a process run in a thread of their own, one after another, in the process where it
happened. What one raises is logged, and nothing else. At a shutdown, they have some seconds.
"""

from django.dispatch import Signal

message_posted = Signal()
run_started = Signal()
run_finished = Signal()
tool_called = Signal()
feedback_given = Signal()
