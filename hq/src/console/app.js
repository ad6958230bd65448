// Keeps the page true: HQ says "changed", the page asks for itself again and replaces its middle.
const live = document.querySelector("#live");
let asking = false;
let again = false;

async function refresh() {
  if (asking) {
    again = true;
    return;
  }
  asking = true;
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
