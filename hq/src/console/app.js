// Keeps the page true: HQ says "changed", the page asks for itself again and replaces its middle.
const live = document.querySelector("#live");
let asking = false;
let again = false;

// A page that takes long to make, of a large fleet, is asked for less often; what somebody types is left alone.
async function refresh() {
  if (document.activeElement?.closest("main form")) {
    return;
  }
  if (asking) {
    again = true;
    return;
  }
  asking = true;
  const begun = performance.now();
  try {
    const answer = await fetch(location.href, { credentials: "same-origin" });
    if (answer.ok) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const scrolled = [...document.querySelectorAll(".scroll")].map((box) => box.scrollLeft);
      document.querySelector("main").replaceWith(page.querySelector("main"));
      document.querySelectorAll(".scroll").forEach((box, index) => {
        box.scrollLeft = scrolled[index] ?? 0;
      });
    }
  } finally {
    const took = performance.now() - begun;
    await new Promise((rested) => setTimeout(rested, Math.min(10 * took, 15_000)));
    asking = false;
    if (again) {
      again = false;
      refresh();
    }
  }
}

const events = new EventSource("/events");
events.addEventListener("changed", () => refresh().catch(() => {}));
events.addEventListener("open", () => live.classList.add("on"));
events.addEventListener("error", () => live.classList.remove("on"));
