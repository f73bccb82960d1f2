"""my_app: hands work to whoever takes it.

    my_app.py publish TEXT...   a message for each text
    my_app.py work [COUNT]      takes messages, until COUNT are done or nobody sends any for a minute

Several workers share the messages; one that dies leaves its own to the others. The broker is at
$SLUICE_ADDRESS, else tcp://127.0.0.1:9192."""
import os
import sys

import sluice

TOPIC = "my_app"
WORKERS = "my_app-workers"
PATIENCE_S = 60


def publish(connection, texts):
    for text in texts:
        published = connection.publish(TOPIC, [text.encode()])  # waits: it is stored
        print("published", text, "as offset", published.offset)


def handle(message):
    """Here is what you do with a message. An exception: it is given again, to anybody."""
    print(message.value.decode(errors="replace"))


def work(connection, count):
    subscription = connection.subscribe(TOPIC, group=WORKERS, start="beginning")
    done = 0
    while count == 0 or done < count:
        message = subscription.next(timeout=PATIENCE_S)
        if message is None:
            break
        try:
            handle(message)
        except Exception:
            subscription.ack(message, "again")
            raise
        subscription.ack(message)
        done += 1


def main(words):
    if len(words) < 1 or words[0] not in ("publish", "work") or (words[0] == "publish" and len(words) < 2):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        with sluice.Connection(os.environ.get("SLUICE_ADDRESS", "tcp://127.0.0.1:9192")) as connection:
            if words[0] == "publish":
                publish(connection, words[1:])
            else:
                work(connection, int(words[1]) if len(words) > 1 else 0)
    except sluice.Error as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
