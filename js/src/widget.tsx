import type { AnyModel, AnyWidget } from "@anywidget/types";
import { render } from "preact";
import { Panel } from "./components/panel";
import { PanelStore } from "./state";
import { AnywidgetTransport } from "./transport";

/** The anywidget adapter: one store for each model, one tree for each view. */
const widget: AnyWidget = () => {
  let transport: AnywidgetTransport | undefined;
  let store: PanelStore | undefined;
  const open = (model: AnyModel) => {
    transport ??= new AnywidgetTransport(model);
    store ??= new PanelStore(transport);
    return store;
  };
  return {
    initialize({ model }) {
      open(model);
      return () => {
        store?.dispose();
        transport?.dispose();
        store = transport = undefined;
      };
    },
    render({ model, el }) {
      render(<Panel store={open(model)} />, el);
      return () => render(null, el);
    },
  };
};

export default widget;
