// A short tone when an alarm comes. Off until somebody wants it; the browser remembers.

const KEY = "alarm-sound";
const TONES = [[880, 0], [660, 0.16]]; // hertz, after seconds
const LENGTH = 0.14;

let context;

function tone() {
  for (const [frequency, after] of TONES) {
    const start = context.currentTime + after;
    const oscillator = new OscillatorNode(context, { frequency });
    const volume = new GainNode(context, { gain: 0 });
    volume.gain.setValueAtTime(0, start);
    volume.gain.linearRampToValueAtTime(0.25, start + 0.02);
    volume.gain.linearRampToValueAtTime(0, start + LENGTH);
    oscillator.connect(volume).connect(context.destination);
    oscillator.start(start);
    oscillator.stop(start + LENGTH);
  }
  document.dispatchEvent(new CustomEvent("webmon:tone"));
}

function isOn() {
  return localStorage.getItem(KEY) === "on";
}

function showState(button) {
  button.setAttribute("aria-pressed", String(isOn()));
  const isMute = isOn() && context?.state === "suspended";
  button.textContent = isMute ? "Sound: on, after a click" : `Sound: ${isOn() ? "on" : "off"}`;
  button.title = isMute ? "Browsers stay silent until somebody clicks on the page." : "A tone when an alarm comes";
}

// A browser lets a page sound only after its person did something on it.
async function wake(button) {
  if (!isOn()) return;
  context ??= new AudioContext();
  context.onstatechange = () => showState(button);
  if (context.state === "suspended" && navigator.userActivation?.hasBeenActive) await context.resume();
  showState(button);
}

export function listenForAlarms(button) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    localStorage.setItem(KEY, isOn() ? "off" : "on");
    await wake(button);
    showState(button);
    if (isOn()) tone();
  });
  document.addEventListener("pointerdown", () => wake(button));
  document.addEventListener("keydown", () => wake(button));
  wake(button);
  showState(button);
  return { play: () => { if (isOn() && context?.state === "running") tone(); } };
}
