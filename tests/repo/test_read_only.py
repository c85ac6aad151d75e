"""Parkhub never writes to the field: no write function of Modbus or OPC UA is referenced in gateway/, by any road.

Looked for: names, attributes, imports, texts that name such a function, and look-ups by a computed name in the files
that know a protocol library.
"""

import ast
import importlib
import inspect
import pkgutil
import re

import pymodbus.pdu
import pytest
from asyncua.client.client import Client
from asyncua.client.ua_client import UaClient
from asyncua.common.node import Node
from pymodbus.client import AsyncModbusTcpClient

from support.source_scan import Finding, docstrings, python_files, report

# Functions and message classes that change something at the other end.
FORBIDDEN = {
    # Modbus
    *("write_coil", "write_coils", "write_register", "write_registers", "mask_write_register", "readwrite_registers"),
    *("write_file_record", "diag_restart_communication", "diag_force_listen_only", "diag_clear_counters"),
    *("diag_clear_overrun_counter", "diag_change_ascii_input_delimeter", "diag_getclear_modbus_response"),
    *("WriteSingleCoilRequest", "WriteMultipleCoilsRequest", "WriteSingleRegisterRequest"),
    *("WriteMultipleRegistersRequest", "MaskWriteRegisterRequest", "ReadWriteMultipleRegistersRequest"),
    *("WriteFileRecordRequest", "ForceListenOnlyModeRequest", "RestartCommunicationsOptionRequest"),
    # OPC UA
    *("write_value", "write_values", "write_attribute", "write_attributes", "write_attribute_value", "write_params"),
    *("write_array_dimensions", "write_data_type_definition", "write_value_rank", "set_value", "set_values"),
    *("set_data_value", "set_attr_bit", "unset_attr_bit", "set_writable", "set_read_only", "set_event_notifier"),
    *("set_modelling_rule", "call_method", "call_method_full", "history_update", "import_xml", "new_node"),
    *("register_namespace", "delete_nodes", "delete_reference", "delete_references", "add_nodes", "add_references"),
    *("add_data_type", "add_folder", "add_method", "add_object", "add_object_type", "add_property", "add_reference"),
    *("add_reference_type", "add_variable", "add_variable_type"),
    *("WriteValue", "WriteParameters", "WriteRequest", "CallMethodRequest", "CallParameters", "CallRequest"),
    *("HistoryUpdateRequest", "HistoryUpdateParameters", "HistoryUpdateDetails", "AddNodesRequest", "AddNodesItem"),
    *("DeleteNodesRequest", "DeleteNodesItem", "AddReferencesRequest", "DeleteReferencesRequest"),
}
# Harmless elsewhere, so forbidden only in a file that imports a protocol library.
FORBIDDEN_BESIDE_A_PROTOCOL = {"write", "call", "execute"}
PROTOCOLS = {"pymodbus", "asyncua"}

_NAMES_ONE = re.compile(rf"\b(?:{'|'.join(sorted(FORBIDDEN))})\b")
# The beginning or the end of such a name: somebody puts it together.
_PIECE = re.compile(r"^_?(?:mask_|read)?write_?(?:coils?|registers?|value|attributes?)?_?$|^_?call_?(?:method)?$")
# What looks a function up by its name, and which argument that name is.
_BY_NAME = {"getattr": 1, "attrgetter": 0, "methodcaller": 0, "__getattribute__": 0}
_BY_TEXT = {"eval", "exec", "__import__"}


def find_writes(source: str) -> list[Finding]:
    """References to functions that write to a device."""
    tree = ast.parse(source)
    beside = any(module.split(".")[0] in PROTOCOLS for module in _imported(tree))
    found: set[Finding] = set()
    skipped = docstrings(tree)
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        for what in _judge(node, beside):
            found.add(Finding(getattr(node, "lineno", 0), what))
    return sorted(found)


def _imported(tree: ast.Module) -> list[str]:
    modules: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules.append(node.module or "")
    return modules


def _judge(node: ast.AST, beside: bool) -> list[str]:
    match node:
        case ast.Name(id=name) | ast.alias(name=name):
            return [name] if name.split(".")[-1] in FORBIDDEN else []
        case ast.Attribute(attr=name, value=owner):
            if name in FORBIDDEN or (beside and name in FORBIDDEN_BESIDE_A_PROTOCOL):
                return [name]
            # A subscription may be deleted, a node not.
            own = name == "delete" and "subscription" not in ast.unparse(owner)
            return ["delete of something that is no subscription"] if beside and own else []
        case ast.Constant(value=str() as text):
            named = _NAMES_ONE.search(text)
            piece = beside and _PIECE.search(text)
            return [f"text {text[:60]!r}"] if named or piece else []
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=args) if beside:
            return _judge_call(name, args)
        case _:
            return []


def _judge_call(name: str, args: list[ast.expr]) -> list[str]:
    if name in _BY_TEXT:
        return [f"{name}() of a text"]
    at = _BY_NAME.get(name)
    if at is None or (len(args) > at and isinstance(args[at], ast.Constant)):
        return []
    return [f"{name}() with a computed name"]


def test_the_gateway_references_no_write_function() -> None:
    found: list[str] = []
    for path in python_files("gateway"):
        found += report(path, find_writes(path.read_text("utf-8")))
    assert not found, "Parkhub is read-only towards the field (design.md 1, rule 6):\n" + "\n".join(found)


def test_the_list_knows_every_write_function_of_the_installed_clients() -> None:
    """A new release of a library may bring new ones."""
    changing = re.compile(
        r"^(mask_write|readwrite|write|call|add_|new_|history_update|unset_|import_)|^diag_(restart|force|clear|change|getc)"
        r"|^set_(value|data|attr|writ|read_only|event|modelling)|^delete_(nodes|reference)"
    )
    for client in (AsyncModbusTcpClient, Client, Node, UaClient):
        names = {name for name in dir(client) if changing.search(name)}
        assert names - FORBIDDEN - FORBIDDEN_BESIDE_A_PROTOCOL == set(), client.__name__
    for module in pkgutil.iter_modules(pymodbus.pdu.__path__):
        content = importlib.import_module(f"pymodbus.pdu.{module.name}")
        classes = {name for name, one in vars(content).items() if inspect.isclass(one) and "Write" in name}
        assert {name for name in classes if name.endswith("Request")} <= FORBIDDEN


@pytest.mark.parametrize(
    "planted",
    [
        "client.write_register(1, 2)",
        "client.write_registers(1, [2])",
        "await_me = client.write_coil",
        "client.write_coils(1, [True])",
        "client.mask_write_register(1)",
        "client.readwrite_registers(1)",
        "node.write_value(5)",
        "node.set_value(5)",
        "client.write_values([], [])",
        "node.write_attribute_value(1, 2)",
        "node.call_method('Reset')",
        "from pymodbus.pdu.register_message import WriteSingleRegisterRequest",
        "from pymodbus.pdu.register_message import WriteSingleRegisterRequest as Harmless",
        "from asyncua import ua\nua.WriteValue()",
        "import asyncua\nclient.uaclient.write(parameters)",
        "import asyncua\nclient.uaclient.call(parameters)",
        "from pymodbus.client import AsyncModbusTcpClient\nclient.execute(pdu)",
        "import asyncua\nasync def f(node):\n    await node.delete()",
        'getattr(client, "write_register")(1, 2)',
        'operator.methodcaller("write_value", 5)(node)',
        "import asyncua\ngetattr(node, name)(5)",
        'import asyncua\ngetattr(node, "write" + "_value")(5)',
        'import pymodbus\nverb = "write_"',
        'import pymodbus\ngetattr(client, f"{verb}_register")',
        "import pymodbus\noperator.attrgetter(name)(client)",
        "import pymodbus\neval(text)",
        'do = {"on": "write_coil"}',
        "class Client:\n    def write_register(self): ...\nwrite_register = 1",
    ],
)
def test_scanner_finds_what_is_planted(planted: str) -> None:
    assert find_writes(planted)


@pytest.mark.parametrize(
    "innocent",
    [
        '"""Never calls write_register."""',
        "# client.write_register(1, 2)",
        "client.read_holding_registers(1, count=2)",
        "node.read_value()",
        "path.write_text('x')",
        "database.execute(statement)",
        "file.write(line)",
        "getattr(settings, name)",
        'import asyncua\ngetattr(message, "Value", None)',
        "import asyncua\nasync def f(self):\n    await self.subscription.delete()",
        'import asyncua\nlog.info("reading", value=1)',
        "import pymodbus\nclient.set_max_no_responses(3)",
    ],
)
def test_scanner_leaves_reading_alone(innocent: str) -> None:
    assert not find_writes(innocent)
