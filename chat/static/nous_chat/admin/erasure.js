// An erasure that is not finished, in the admin: sends its form, so that the server goes on for another moment. Without
// it, people press the button. Loaded by admin/nous_chat/erasure/change_form.html.

const PAUSE = 300; // ms, in which the page can be seen and left

const form = /** @type {HTMLFormElement|null} */ (document.querySelector(".nous-continue"));
setTimeout(() => form?.requestSubmit(), PAUSE);
