import { createApp } from "vue";

import App from "./App.vue";
import { language, setLanguage } from "./i18n/index.ts";
import { router } from "./router.ts";
import "./styles/base.css";

setLanguage(language.value);
createApp(App).use(router).mount("#app");
