// Starts Swagger UI on the page to try the API. A token stays in this page's memory.
(() => {
  "use strict";
  window.SwaggerUIBundle({
    url: document.getElementById("api").dataset.schema,
    dom_id: "#api",
    deepLinking: true,
    validatorUrl: null,
  });
})();
