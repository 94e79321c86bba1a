// ---------------------------------------------------------------------------------------------------- curves

document.querySelectorAll("section.of-curves").forEach((section, place) => {
  const curves = data.curves[place];
  const kinds = [...new Set(curves.map((curve) => `${curve.stage}: ${curve.quantity}`))];
  choose(section, "Stage and quantity", kinds, (chosen) => {
    const series = curves.filter((curve) => `${curve.stage}: ${curve.quantity}` === chosen).map((curve) => ({
      title: curve.title || curve.stage, points: curve.epochs.map((epoch, i) => [epoch, curve.values[i]]) }));
    section.querySelector(".figure").replaceChildren(...lines(series, "epoch", chosen.slice(chosen.indexOf(": ") + 2)));
  });
});
