/** Addresses and their views; each view is loaded when it is first opened. The menu is in shell/menu.ts. */
import { createRouter, createWebHistory, type RouteRecordRaw } from "vue-router";

import { sentenceOf } from "./api/http.ts";
import { fill, messages, type Messages } from "./i18n/index.ts";
import { tell } from "./shell/notices.ts";

declare module "vue-router" {
  interface RouteMeta {
    /** What the browser's tab says; a view of data names itself. */
    title?: (m: Messages) => string;
  }
}

const routes: RouteRecordRaw[] = [
  {
    path: "/",
    name: "overview",
    component: () => import("./views/Overview.vue"),
    meta: { title: (m) => m.menu.overview },
  },
  {
    path: "/alarms",
    name: "alarms",
    component: () => import("./views/Alarms.vue"),
    meta: { title: (m) => m.menu.alarms },
  },
  {
    path: "/trend",
    name: "trend",
    component: () => import("./views/Trend.vue"),
    meta: { title: (m) => m.menu.trend },
  },
  // What a system brings names itself.
  { path: "/systems/:system/:page", name: "system-page", component: () => import("./views/SystemPage.vue") },
  { path: "/registers/:system/:register", name: "register", component: () => import("./views/Register.vue") },
  { path: "/reports/:system/:report", name: "report", component: () => import("./views/Report.vue") },
  {
    path: "/gateways",
    name: "gateways",
    component: () => import("./views/Gateways.vue"),
    meta: { title: (m) => m.menu.gateways },
  },
  {
    path: "/devices",
    name: "devices",
    component: () => import("./views/Devices.vue"),
    meta: { title: (m) => m.menu.devices },
  },
  { path: "/gaps", name: "gaps", component: () => import("./views/Gaps.vue"), meta: { title: (m) => m.menu.gaps } },
  {
    path: "/dead-letters",
    name: "dead-letters",
    component: () => import("./views/DeadLetters.vue"),
    meta: { title: (m) => m.menu.deadLetters },
  },
  {
    path: "/quarantine",
    name: "quarantine",
    component: () => import("./views/Quarantine.vue"),
    meta: { title: (m) => m.menu.quarantine },
  },
  {
    path: "/conflicts",
    name: "conflicts",
    component: () => import("./views/Conflicts.vue"),
    meta: { title: (m) => m.menu.conflicts },
  },
  {
    path: "/:rest(.*)*",
    name: "not-found",
    component: () => import("./views/NotFound.vue"),
    meta: { title: (m) => m.fault.notFound },
  },
];

export const router = createRouter({ history: createWebHistory(import.meta.env.BASE_URL), routes });

// A view that can't be loaded: the server is away, or it has a newer console with other files.
router.onError((error, to) => {
  void isOutdated().then((is) => {
    if (is) location.assign(router.resolve(to).href);
    else tell(new Error(fill(messages.value.fault.view, { reason: sentenceOf(error) })));
  });
});

async function isOutdated(): Promise<boolean> {
  const own = document.querySelector<HTMLScriptElement>("script[type=module][src]")?.getAttribute("src");
  try {
    const page = await fetch(import.meta.env.BASE_URL, { cache: "no-store" });
    return page.ok && own !== null && own !== undefined && !(await page.text()).includes(own);
  } catch {
    return false;
  }
}
