/** The sound of a new critical alarm: three tones, again every 10 s until the alarm is acknowledged, unless muted. */
import { reactive } from "vue";

const KEPT_AS = "park.muted";
const AGAIN_MS = 10_000;
const TONES_HZ = [880, 660, 880];
const TONE_S = 0.22;

const state = reactive({
  isMuted: readMuted(),
  /** The browser plays nothing before the person has touched the page. */
  isBlocked: false,
});
const ringing = new Set<number>();
let context: AudioContext | null = null;
let timer: ReturnType<typeof setInterval> | undefined;

export const sound = { state, ring, keepOnly, setMuted, unlock };

function ring(alarm: number): void {
  if (ringing.has(alarm)) return;
  ringing.add(alarm);
  play();
  timer ??= setInterval(play, AGAIN_MS);
}

/** Only these still need a person; whatever else rang is done with. */
function keepOnly(alarms: readonly { id: number }[]): void {
  const wanted = new Set(alarms.map((alarm) => alarm.id));
  for (const alarm of ringing) if (!wanted.has(alarm)) ringing.delete(alarm);
  if (ringing.size > 0) return;
  clearInterval(timer);
  timer = undefined;
}

function setMuted(isMuted: boolean): void {
  state.isMuted = isMuted;
  try {
    localStorage.setItem(KEPT_AS, String(isMuted));
  } catch {
    // Kept until the page is left, then.
  }
  if (!isMuted) unlock();
}

/** Called in the person's first click or key. */
function unlock(): void {
  context ??= new AudioContext();
  void context.resume().then(() => {
    state.isBlocked = context?.state !== "running";
  });
}

function play(): void {
  if (state.isMuted) return;
  context ??= new AudioContext();
  state.isBlocked = context.state !== "running";
  if (state.isBlocked) return;
  const gain = context.createGain();
  gain.gain.value = 0.15;
  gain.connect(context.destination);
  TONES_HZ.forEach((frequency, index) => {
    const tone = new OscillatorNode(context as AudioContext, { frequency, type: "triangle" });
    const start = (context as AudioContext).currentTime + index * TONE_S;
    tone.connect(gain);
    tone.start(start);
    tone.stop(start + TONE_S * 0.8);
  });
}

function readMuted(): boolean {
  try {
    return localStorage.getItem(KEPT_AS) === "true";
  } catch {
    return false;
  }
}
