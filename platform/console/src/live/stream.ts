/** One connection to the live stream that comes back by itself. Knows nothing of the screen.
 *
 * A hole in the sequence, a message that can't be read, or 15 s of silence end the connection; the next one begins with
 * a snapshot of everything, so nothing stays wrong on the screen.
 */
import { type Message, readMessage } from "./messages.ts";

export interface Socket {
  binaryType: BinaryType;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number }) => void) | null;
  close(code?: number): void;
}

export interface Listener {
  onMessage(message: Message): void;
  /** The connection is gone and will be tried again. */
  onLost(): void;
  /** The server has ended the session: no further try. */
  onSessionEnded(): void;
}

export const SILENT_MS = 15_000;
const SESSION_ENDED = 4401;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;

export class LiveStream {
  private readonly open: () => Socket;
  private readonly listener: Listener;
  private socket: Socket | null = null;
  private expected = 1;
  private failures = 0;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private silence: ReturnType<typeof setTimeout> | undefined;

  constructor(open: () => Socket, listener: Listener) {
    this.open = open;
    this.listener = listener;
  }

  start(): void {
    this.connect();
  }

  stop(): void {
    clearTimeout(this.retry);
    this.drop();
  }

  /** Try at once instead of waiting: the network has come back, or the person asks for it. */
  retryNow(): void {
    if (this.socket !== null) return;
    clearTimeout(this.retry);
    this.connect();
  }

  private connect(): void {
    this.expected = 1;
    const socket = this.open();
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onmessage = (event) => this.take(event.data);
    socket.onclose = (event) => this.closed(event.code);
    this.listen();
  }

  private take(data: unknown): void {
    let message: Message;
    try {
      if (!(data instanceof ArrayBuffer)) throw new SyntaxError("a text message");
      message = readMessage(data);
    } catch {
      this.lose();
      return;
    }
    if (message.seq !== this.expected) {
      this.lose();
      return;
    }
    this.expected += 1;
    this.failures = 0;
    this.listen();
    this.listener.onMessage(message);
  }

  private listen(): void {
    clearTimeout(this.silence);
    this.silence = setTimeout(() => this.lose(), SILENT_MS);
  }

  private closed(code: number): void {
    if (code === SESSION_ENDED) {
      this.drop();
      this.listener.onSessionEnded();
    } else {
      this.lose();
    }
  }

  private lose(): void {
    this.drop();
    // Spread over half to all of the wait: a restarted server is not met by everybody at once.
    const wait = Math.min(FIRST_WAIT_MS * 2 ** this.failures, LONGEST_WAIT_MS) * (0.5 + Math.random() / 2);
    this.failures += 1;
    this.retry = setTimeout(() => this.connect(), wait);
    this.listener.onLost();
  }

  private drop(): void {
    clearTimeout(this.silence);
    const socket = this.socket;
    this.socket = null;
    if (socket === null) return;
    socket.onmessage = socket.onclose = null;
    socket.close();
  }
}
