"""Loaded by `chainlit run`: answers each message with the deltas of the upstream, and stores nothing.

It is written as in Chainlit's guide to OpenAI, with OpenAI's client, because that is what people run.
"""

import os

import chainlit
from openai import AsyncOpenAI

client = AsyncOpenAI(base_url=f"{os.environ['UPSTREAM']}/v1", api_key="none")


@chainlit.on_message  # type: ignore[untyped-decorator]
async def answer(question: chainlit.Message) -> None:
    message = chainlit.Message(content="")
    asked = [{"role": "user", "content": question.content}]
    stream = await client.chat.completions.create(model="bench", messages=asked, stream=True)
    async for part in stream:
        if token := part.choices[0].delta.content or "":
            await message.stream_token(token)
    await message.update()
