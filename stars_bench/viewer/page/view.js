// ----------------------------------------------------------------------------------------------------- clips

const view = sensorView();
const drawn = [];
const redraw = () => drawn.forEach((one) => one.draw());
const many = data.scenes.length > 1;
const longest = Math.max(...data.scenes.flatMap((scene) => scene.takes.map((take) => take.frames)));
const scrub = document.getElementById("scrub");
const told = document.getElementById("told");
const playButton = document.getElementById("play");

document.querySelectorAll("canvas").forEach((canvas) => {
  const scene = data.scenes[canvas.dataset.scene];
  const take = scene.takes[canvas.dataset.take];
  const skeletons = new Skeletons(canvas, scene.layout, take, view, Skeletons.size(scene.takes));
  skeletons.caption = canvas.parentElement.querySelector(".frame");
  drawn.push(skeletons);
  turnable(canvas, view, redraw);
});

const player = new Player(longest, data.rate, (frame) => {
  scrub.value = frame;
  told.textContent = `${(frame / data.rate).toFixed(2)} s`;
  for (const one of drawn) {
    one.frame = many ? frame % one.take.frames : frame; // short clips of a sheet start again
    const at = Math.min(one.frame, one.take.frames - 1);
    one.caption.textContent = `frame ${one.take.numbers ? one.take.numbers[at] : at + 1} of ${one.take.last}`;
    one.draw();
  }
});

function play(on) {
  player.play(on);
  playButton.textContent = on ? "pause" : "play";
  playButton.setAttribute("aria-pressed", on);
}

scrub.max = longest - 1;
scrub.addEventListener("input", () => { play(false); player.go(Number(scrub.value)); });
playButton.addEventListener("click", () => play(!player.playing));
document.getElementById("speed").addEventListener("change", (event) => { player.speed = Number(event.target.value); });
document.getElementById("eye").addEventListener("change", (event) => { view.eye = event.target.checked; redraw(); });
for (const button of document.querySelectorAll("[data-yaw]")) {
  button.addEventListener("click", () => {
    [view.yaw, view.pitch] = [Number(button.dataset.yaw), Number(button.dataset.pitch)];
    redraw();
  });
}
document.addEventListener("keydown", (event) => {
  if (event.target.matches?.("button, select, input[type=checkbox]")) return;
  if (event.key === " ") {
    event.preventDefault();
    play(!player.playing);
  } else if (event.key === "," || event.key === ".") {
    play(false);
    player.go(Math.floor(player.at) + (event.key === "." ? 1 : -1));
  }
});
document.addEventListener("theme", redraw);
player.go(0);
if (!quiet) play(true);
