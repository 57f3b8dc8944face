// What a worker on Node does for the gateway's tests on workerd: given to `millrace worker --workflows`.
import { gatewayWorkflows } from "../gateway-workflows.ts";

export default gatewayWorkflows().workflows;
