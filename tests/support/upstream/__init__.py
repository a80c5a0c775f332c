"""A fake provider whose models do what their names say. A process: `python -m tests.support.upstream PORT`. Or a thread
of the test: `Upstream()`.

It speaks the wires of OpenAI (base URL http://127.0.0.1:PORT/v1), Anthropic, Gemini and Ollama (http://127.0.0.1:PORT).

    words        n words (`text(n)`), then finish_reason, usage and [DONE]
    flowing      words, one every `delay` (20 by default), until GET /release; then one more, and the end as of `words`.
                 For what a test does in the middle of an answer, however long that takes
    documented   n deltas of `chars` characters of `document(n * chars)`, one every `delay`
    thinking     n words of thinking, then n words
    tools        a word, then two tool calls in pieces
    calls        a word, then n calls of the tool `look_up` whose ids are as long as `chars`; only the word if the
                 question holds results of tools
    pieces       a word, then a call of `look_up` whose arguments come in n pieces of `chars` characters; only the word
                 if the question holds results of tools
    agent        a thought and a tool call; if the question holds results of tools, the results as its words
    called       the call of a document's tool that the question asks for, such as `create_document {"title": ...}`,
                 with its arguments word by word; a word if the question holds results of tools
    written      a call of `create_document`, whose text is that of `documented`, in as many pieces; a word if the
                 question holds results of tools
    echo         the last message's text, word by word
    whole        one JSON object, like a server that does not stream
    deaf         never answers the request
    silent       headers, then nothing
    comments     headers, then comments without end, one every `delay`
    stall        n words, then nothing
    drone        n words, then comments without end, one every `delay`
    cut          n words, then the connection is reset
    unfinished   n words, then the body ends as if that were all
    garbage      bytes that are no event stream
    page         a web page
    line         one line of `size` bytes, in an event of its own
    endless      bytes without a line end, for ever
    bomb         gzip that becomes `size` bytes of comments, a thousand times its own size
    late         n words and finish_reason, then nothing, not even the end of the body
    fails        an error object after n words
    status       the HTTP status `code`, with an error body, and `retry_after` if it is given
    told         the last word of the last question is such a name with its options

`Upstream.script(name, *bodies)` makes a model of given bodies.

Options follow an "@", separated by commas: `words@n=100,delay=5`. n: how many words (20). delay: milliseconds before
each (0). first: milliseconds before the first (0). hold: wait after that many words for GET /release. split: write the
body in pieces of that many bytes. chars: letters added to each word. cut: reset the connection after that many bytes.

GET /stats    {"started", "finished", "aborted", "active", "connections", "words", "aborts": [{"model", "at", "words"}]}
              `aborted` counts the streams that the client closed: `at` is when (time.time()), `words` how many it had.
              The other `words` is the number of words of the stream that finished last.
GET /last     the last request's path, headers and JSON body
GET /release  lets the answers that hold or flow go on to their end; answers with their number
"""

from .service import Script, Upstream
from .texts import SECTION, document, text
from .wires import Answer, AnthropicAnswer

__all__ = ["SECTION", "Answer", "AnthropicAnswer", "Script", "Upstream", "document", "text"]
